#include "daemon/shim/delegation.h"

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "daemon/shim/files.h"
#include "daemon/shim/splitter.h"

namespace ralph::shim {
namespace {

bool lists(std::string_view comma_separated, std::string_view word) {
    Splitter words(comma_separated, ',');
    for (std::string_view each; words.next(each);) {
        if (each == word) {
            return true;
        }
    }
    return false;
}

// The mount table writes blanks and backslashes of a path as three octal digits.
std::string unescaped(std::string_view text) {
    std::string result;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] == '\\' && at + 3 < text.size()) {
            result += static_cast<char>(strtol(std::string(text.substr(at + 1, 3)).c_str(), nullptr, 8));
            at += 3;
        } else {
            result += text[at];
        }
    }
    return result;
}

bool has_attribute(const std::string& path, const char* name, std::string_view value) {
    std::array<char, 64> buffer{};
    const ssize_t got = getxattr(path.c_str(), name, buffer.data(), buffer.size());
    return got >= 0 &&
           (value.empty() || std::string_view(buffer.data(), static_cast<std::size_t>(got)) == value);
}

bool is_ours(const std::string& path) {
    struct stat info {};
    return stat(path.c_str(), &info) == 0 && info.st_uid == geteuid();
}

// systemd marks the cgroup of a unit that it delegates; what the unit's processes have made below it belongs
// to them. A unit without the mark ends the search: what is further up is delegated to its manager, not to
// us.
std::string delegated_from(std::string path, const std::string& top) {
    std::string step;
    while (path.size() >= top.size() && is_ours(path)) {
        if (has_attribute(path, "user.delegate", "1") || has_attribute(path, "trusted.delegate", "1")) {
            return step.empty() ? path : step;
        }
        if (has_attribute(path, "user.invocation_id", "") ||
            has_attribute(path, "trusted.invocation_id", "")) {
            return {};
        }
        const std::size_t slash = path.rfind('/');
        if (step.empty() && path.compare(slash + 1, step_prefix.size(), step_prefix) == 0) {
            step = path;
        }
        path.resize(slash == std::string::npos ? 0 : slash);
    }
    return {};
}

}  // namespace

// The cgroup v2 hierarchy, or with a `controller` the v1 hierarchy that has it. Fields of a line: id, parent,
// device, root, mount point, options, any number of tags, "-", type, source, options of the super block.
Mount hierarchy(std::string_view controller) {
    const std::string table = read_small_file("/proc/self/mountinfo");
    Splitter lines(table, '\n');
    for (std::string_view line; lines.next(line);) {
        std::array<std::string_view, 5> front;
        std::array<std::string_view, 3> back;
        const std::size_t dash = line.find(" - ");
        if (dash == std::string_view::npos) {
            continue;
        }
        Splitter first(line.substr(0, dash), ' ');
        for (std::string_view& field : front) {
            static_cast<void>(first.next(field));
        }
        Splitter second(line.substr(dash + 3), ' ');
        for (std::string_view& field : back) {
            static_cast<void>(second.next(field));
        }
        if (controller.empty() ? back[0] == "cgroup2" : back[0] == "cgroup" && lists(back[2], controller)) {
            return {unescaped(front[3]), unescaped(front[4])};
        }
    }
    return {};
}

// Where our own cgroup of that hierarchy is seen; empty if it is not.
std::string own_cgroup(const Mount& mount, std::string_view controller) {
    const std::string text = read_small_file("/proc/self/cgroup");
    Splitter lines(text, '\n');
    for (std::string_view line; !mount.point.empty() && lines.next(line);) {
        const std::size_t first = line.find(':');
        const std::size_t second = line.find(':', first + 1);
        if (second == std::string_view::npos) {
            continue;
        }
        const std::string_view controllers = line.substr(first + 1, second - first - 1);
        if (controller.empty() ? !controllers.empty() : !lists(controllers, controller)) {
            continue;
        }
        std::string_view path = line.substr(second + 1);
        if (path.find("/..") != std::string_view::npos) {
            return {};  // outside of what we may see
        }
        if (mount.root != "/") {
            if (path.substr(0, mount.root.size()) != mount.root ||
                (path.size() > mount.root.size() && path[mount.root.size()] != '/')) {
                return {};
            }
            path.remove_prefix(mount.root.size());
        }
        return mount.point + (path == "/" ? "" : std::string(path));
    }
    return {};
}

std::string delegated_cgroup() {
    const Mount mount = hierarchy("");
    std::string own = own_cgroup(mount, "");
    if (own.size() > control_leaf.size() + 1 &&
        own.compare(own.size() - control_leaf.size() - 1, std::string::npos,
                    "/" + std::string(control_leaf)) == 0) {
        own.resize(own.size() - control_leaf.size() - 1);
    }
    return own.empty() ? std::string() : delegated_from(own, mount.point);
}

}  // namespace ralph::shim
