#include "tests/fake_world/disk.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

namespace ralph::fake {
namespace {

int fail(int error) {
    errno = error;
    return -1;
}

void let_go(Node& node, int descriptor) {
    node.flock_holder = node.flock_holder == descriptor ? -1 : node.flock_holder;
    node.record_holder = node.record_holder == descriptor ? -1 : node.record_holder;
}

}  // namespace

Disk::Disk() : root_(std::make_shared<Node>()), next_descriptor_(first_descriptor) {
    root_->directory = true;
}

Fault Disk::fault(Operation operation, const std::string& path) const {
    return before ? before(operation, path) : Fault{};
}

NodePointer Disk::find(std::string_view path) const {
    NodePointer node = root_;
    while (!path.empty() && node) {
        const std::size_t slash = path.find('/');
        const std::string_view part = path.substr(0, slash);
        path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
        if (part.empty()) {
            continue;
        }
        const auto found = node->entries.find(part);
        node = found == node->entries.end() ? nullptr : found->second;
    }
    return node;
}

NodePointer Disk::parent_of(std::string_view path, std::string& name) const {
    const std::size_t slash = path.rfind('/');
    name = path.substr(slash + 1);
    NodePointer parent = find(path.substr(0, slash));
    return parent && parent->directory ? parent : nullptr;
}

void Disk::change(Node& directory, const std::string& name, NodePointer node, std::uint64_t group,
                  const NodePointer& partner) {
    if (node) {
        directory.entries[name] = node;
    } else {
        directory.entries.erase(name);
    }
    directory.journal.push_back({name, std::move(node), group, partner});
}

NodePointer Disk::node_of(int descriptor) const {
    const auto found = opened_.find(descriptor);
    return found == opened_.end() ? nullptr : found->second.node;
}

const std::string& Disk::path_of(int descriptor) const {
    static const std::string none;
    const auto found = opened_.find(descriptor);
    return found == opened_.end() ? none : found->second.path;
}

int Disk::open(const std::string& path, int flags) {
    NodePointer node = find(path);
    const bool creates = !node && (flags & O_CREAT) != 0;
    if (const Fault told = fault(creates ? Operation::create : Operation::open, path); told.error != 0) {
        return fail(told.error);
    }
    if (node && (flags & O_CREAT) != 0 && (flags & O_EXCL) != 0) {
        return fail(EEXIST);
    }
    if (node && !node->directory && (flags & O_DIRECTORY) != 0) {
        return fail(ENOTDIR);
    }
    if (!node) {
        std::string name;
        const NodePointer parent = parent_of(path, name);
        if (!creates || !parent) {
            return fail(ENOENT);
        }
        node = std::make_shared<Node>();
        change(*parent, name, node, next_group_++);
    }
    if ((flags & O_TRUNC) != 0) {
        node->content.clear();
    }
    const int descriptor = next_descriptor_++;
    opened_[descriptor] = Opened{std::move(node), path, 0, (flags & O_APPEND) != 0};
    return descriptor;
}

int Disk::open_below(int parent, const std::string& name) {
    const NodePointer directory = node_of(parent);
    if (!directory) {
        return fail(EBADF);
    }
    return open(path_of(parent) + "/" + name, O_DIRECTORY);
}

void Disk::close(int descriptor) {
    const auto found = opened_.find(descriptor);
    if (found != opened_.end()) {
        let_go(*found->second.node, descriptor);
        opened_.erase(found);
    }
}

long Disk::read(int descriptor, char* buffer, std::size_t size) {
    const auto found = opened_.find(descriptor);
    if (found == opened_.end()) {
        return fail(EBADF);
    }
    Opened& file = found->second;
    if (const Fault told = fault(Operation::read, file.path); told.error != 0) {
        return fail(told.error);
    }
    const std::string& content = file.node->content;
    const std::size_t got = std::min(size, content.size() - std::min(file.position, content.size()));
    std::memcpy(buffer, content.data() + file.position, got);
    file.position += got;
    return static_cast<long>(got);
}

long Disk::write(int descriptor, const char* data, std::size_t size, bool at_start) {
    const auto found = opened_.find(descriptor);
    if (found == opened_.end()) {
        return fail(EBADF);
    }
    Opened& file = found->second;
    const Fault told = fault(Operation::write, file.path);
    if (told.error != 0) {
        return fail(told.error);
    }
    const std::size_t written = told.short_write && size > 1 ? size / 2 : size;
    std::string& content = file.node->content;
    const std::size_t at = at_start ? 0 : file.append ? content.size() : file.position;
    content.resize(std::max(content.size(), at + written));
    content.replace(at, written, data, written);
    if (!at_start) {
        file.position = at + written;
    }
    return static_cast<long>(written);
}

int Disk::sync(int descriptor) {
    const NodePointer node = node_of(descriptor);
    if (!node) {
        return fail(EBADF);
    }
    if (const Fault told = fault(Operation::sync, path_of(descriptor)); told.error != 0) {
        // The kernel reports the failure once and then believes that all is well: what was not written stays
        // unwritten, whatever a second sync says.
        if (!node->directory && told.error == EIO) {
            node->durable_content = node->content.substr(0, node->content.size() / 2);
        }
        return fail(told.error);
    }
    make_durable(*node);
    return 0;
}

void Disk::apply(Node& directory, const Node::Change& change) {
    if (change.node) {
        directory.durable_entries[change.name] = change.node;
    } else {
        directory.durable_entries.erase(change.name);
    }
}

void Disk::make_durable(Node& node) {
    if (node.directory) {
        for (const Node::Change& change : node.journal) {
            if (const NodePointer partner = change.partner.lock()) {
                const auto other = std::find_if(partner->journal.begin(), partner->journal.end(),
                                                [&](const auto& each) { return each.group == change.group; });
                if (other != partner->journal.end()) {
                    apply(*partner, *other);
                    partner->journal.erase(other);
                }
            }
        }
        node.durable_entries = node.entries;
        node.journal.clear();
    } else {
        node.durable_content = node.content;
    }
}

int Disk::status(const NodePointer& node, bool& directory, unsigned long long& size) const {
    if (!node) {
        return fail(ENOENT);
    }
    directory = node->directory;
    size = node->content.size();
    return 0;
}

int Disk::list(int descriptor, std::vector<std::string>& names) {
    const NodePointer node = node_of(descriptor);
    if (!node) {
        return fail(EBADF);
    }
    if (const Fault told = fault(Operation::list, path_of(descriptor)); told.error != 0) {
        return fail(told.error);
    }
    for (const auto& [name, entry] : node->entries) {
        names.push_back(name);
    }
    return 0;
}

int Disk::make_directory(const std::string& path) {
    if (const Fault told = fault(Operation::make_directory, path); told.error != 0) {
        return fail(told.error);
    }
    std::string name;
    const NodePointer parent = parent_of(path, name);
    if (!parent || find(path)) {
        return fail(parent ? EEXIST : ENOENT);
    }
    auto made = std::make_shared<Node>();
    made->directory = true;
    change(*parent, name, std::move(made), next_group_++);
    return 0;
}

int Disk::rename(const std::string& from, const std::string& to, bool replace) {
    if (const Fault told = fault(Operation::rename, to); told.error != 0) {
        return fail(told.error);
    }
    std::string old_name;
    std::string new_name;
    const NodePointer old_parent = parent_of(from, old_name);
    const NodePointer new_parent = parent_of(to, new_name);
    const NodePointer node = find(from);
    const NodePointer target = find(to);
    if (!node || !old_parent || !new_parent) {
        return fail(ENOENT);
    }
    if (target && !replace) {
        return fail(EEXIST);
    }
    if (target == node) {
        return 0;  // two names of one file: nothing happens
    }
    if (target && target->directory && !target->entries.empty()) {
        return fail(ENOTEMPTY);
    }
    const std::uint64_t group = next_group_++;
    const bool between = old_parent != new_parent;
    change(*old_parent, old_name, nullptr, group, between ? new_parent : nullptr);
    change(*new_parent, new_name, node, group, between ? old_parent : nullptr);
    if (renamed) {
        renamed(to);
    }
    return 0;
}

int Disk::link(const std::string& from, const std::string& to) {
    if (const Fault told = fault(Operation::link, to); told.error != 0) {
        return fail(told.error);
    }
    std::string name;
    const NodePointer node = find(from);
    const NodePointer parent = parent_of(to, name);
    if (!node || !parent) {
        return fail(ENOENT);
    }
    if (find(to)) {
        return fail(EEXIST);
    }
    change(*parent, name, node, next_group_++);
    return 0;
}

int Disk::unlink(const NodePointer& parent, const std::string& name, const std::string& path,
                 bool directory) {
    if (const Fault told = fault(Operation::unlink, path); told.error != 0) {
        return fail(told.error);
    }
    const auto found = parent ? parent->entries.find(name) : Node::Entries::iterator{};
    if (!parent || found == parent->entries.end()) {
        return fail(ENOENT);
    }
    const NodePointer node = found->second;
    if (node->directory != directory) {
        return fail(directory ? ENOTDIR : EISDIR);
    }
    if (directory && !node->entries.empty()) {
        return fail(ENOTEMPTY);
    }
    change(*parent, name, nullptr, next_group_++);
    return 0;
}

int Disk::unlink(const std::string& path, bool directory) {
    std::string name;
    const NodePointer parent = parent_of(path, name);
    return unlink(parent, name, path, directory);
}

int Disk::lock(int descriptor) {
    const NodePointer node = node_of(descriptor);
    if (!node) {
        return fail(EBADF);
    }
    if (const Fault told = fault(Operation::lock, path_of(descriptor)); told.error != 0) {
        return fail(told.error);
    }
    if (node->flock_holder >= 0 && node->flock_holder != descriptor) {
        return fail(EWOULDBLOCK);
    }
    node->flock_holder = descriptor;
    return 0;
}

int Disk::lock_record(int descriptor) {
    const NodePointer node = node_of(descriptor);
    if (!node) {
        return fail(EBADF);
    }
    if (node->record_holder >= 0 && node->record_holder != descriptor) {
        return fail(EAGAIN);
    }
    node->record_holder = descriptor;
    return 0;
}

void Disk::put_directory(const std::string& path) {
    if (find(path)) {
        return;
    }
    std::string name;
    const std::size_t slash = path.rfind('/');
    if (slash != 0 && slash != std::string::npos) {
        put_directory(path.substr(0, slash));
    }
    const NodePointer parent = parent_of(path, name);
    auto made = std::make_shared<Node>();
    made->directory = true;
    parent->entries[name] = made;
    parent->durable_entries[name] = made;
}

// A change that another process made durable: it joins the journal's end, or is there for good when nothing
// else is pending.
void Disk::put(const std::string& path, std::string_view content) {
    std::string name;
    const NodePointer parent = parent_of(path, name);
    if (!parent) {
        return;
    }
    auto made = std::make_shared<Node>();
    made->content = content;
    made->durable_content = content;
    parent->entries[name] = made;
    make_durable(*parent);
}

void Disk::remove(const std::string& path) {
    std::string name;
    const NodePointer parent = parent_of(path, name);
    if (parent) {
        parent->entries.erase(name);
        make_durable(*parent);
    }
}

const std::string* Disk::content(std::string_view path) const {
    const NodePointer node = find(path);
    return node && !node->directory ? &node->content : nullptr;
}

const std::string* Disk::durable_content(std::string_view path) const {
    const Node* node = root_.get();
    while (!path.empty()) {
        const std::size_t slash = path.find('/');
        const std::string_view part = path.substr(0, slash);
        path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
        if (part.empty()) {
            continue;
        }
        const auto found = node->durable_entries.find(part);
        if (found == node->durable_entries.end()) {
            return nullptr;
        }
        node = found->second.get();
    }
    return node->directory ? nullptr : &node->durable_content;
}

void Disk::supervisor_died() {
    for (const auto& [descriptor, file] : opened_) {
        let_go(*file.node, descriptor);
    }
    opened_.clear();
}

void Disk::lose_power(sim::Random& random) {
    supervisor_died();
    // First which changes survive in each directory, then what spans two directories, then the files.
    std::vector<NodePointer> directories{root_};
    std::set<const Node*> seen{root_.get()};
    std::map<std::uint64_t, bool> group_survives;
    for (std::size_t i = 0; i < directories.size(); ++i) {
        const NodePointer directory = directories[i];
        const std::size_t length = directory->journal.size();
        std::size_t keep = random.chance(30) ? length : random.chance(30) ? 0 : random.below(length + 1);
        while (keep > 0 && keep < length &&
               directory->journal[keep].group == directory->journal[keep - 1].group) {
            ++keep;
        }
        for (std::size_t change = 0; change < length; ++change) {
            const bool survives = change < keep;
            // Where a node arrives decides.
            if (directory->journal[change].node) {
                group_survives[directory->journal[change].group] = survives;
            } else {
                group_survives.emplace(directory->journal[change].group, survives);
            }
        }
        const auto add = [&](const Node::Entries& entries) {
            for (const auto& [name, node] : entries) {
                if (node->directory && seen.insert(node.get()).second) {
                    directories.push_back(node);
                }
            }
        };
        add(directory->entries);
        add(directory->durable_entries);
        for (const Node::Change& change : directory->journal) {
            if (change.node && change.node->directory && seen.insert(change.node.get()).second) {
                directories.push_back(change.node);
            }
        }
    }
    std::vector<Node*> files;  // in an order that does not depend on addresses
    for (const NodePointer& directory : directories) {
        for (std::size_t i = 0; i < directory->journal.size(); ++i) {
            const Node::Change& change = directory->journal[i];
            if (!group_survives[change.group]) {
                continue;
            }
            apply(*directory, change);
        }
        directory->journal.clear();
        directory->entries = directory->durable_entries;
        for (const auto& [name, node] : directory->entries) {
            if (!node->directory && seen.insert(node.get()).second) {
                files.push_back(node.get());
            }
        }
    }
    for (Node* const file : files) {
        file->held_by_shim = false;
        file->flock_holder = -1;
        file->record_holder = -1;
        if (file->content == file->durable_content) {
            continue;
        }
        if (random.chance(30)) {
            file->content.resize(random.below(file->content.size() + 1));
        } else if (random.chance(60)) {
            file->content = file->durable_content;
        }
        file->durable_content = file->content;
    }
}

}  // namespace ralph::fake
