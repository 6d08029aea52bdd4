// daemon/os/file_calls.h on the fake disk. The dead reach nothing.
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "daemon/os/file_calls.h"
#include "daemon/os/file_descriptor.h"
#include "tests/fake_world/fake_world.h"

namespace ralph::daemon {

void close_descriptor(int descriptor) {
    if (descriptor < fake::first_descriptor) {
        ::close(descriptor);
    } else {
        fake::world().disk.close(descriptor);
    }
}

namespace file_calls {
namespace {

template <class Call>
auto unless_dead(Call call) -> decltype(call()) {
    if (fake::world().dead) {
        errno = EIO;
        return -1;
    }
    return call();
}

fake::Disk& disk() {
    return fake::world().disk;
}

int take_over(const fake::NodePointer& node, Status& result) {
    bool directory = false;
    const int returned = disk().status(node, directory, result.size);
    result.kind = directory ? Kind::directory : Kind::regular;
    result.links = 1;
    result.permissions = 0600;
    result.inode = reinterpret_cast<std::uintptr_t>(node.get());
    return returned;
}

int told_by(const std::string& path, Status& result) {
    return unless_dead([&] {
        if (const fake::Fault told = disk().fault(fake::Operation::status, path); told.error != 0) {
            errno = told.error;
            return -1;
        }
        return take_over(disk().find(path), result);
    });
}

std::string path_in(int directory, const std::string& name) {
    return disk().path_of(directory) + "/" + name;
}

}  // namespace

int open(const std::string& path, int flags, unsigned /*mode*/) {
    return unless_dead([&] { return disk().open(path, flags); });
}

int open_below(int parent, const std::string& name) {
    return unless_dead([&] { return disk().open_below(parent, name); });
}

int open_in(int directory, const std::string& name, int flags, unsigned /*mode*/) {
    return unless_dead([&] { return disk().open(path_in(directory, name), flags); });
}

ssize_t read(int file, char* buffer, std::size_t size) {
    return unless_dead([&]() -> ssize_t { return disk().read(file, buffer, size); });
}

ssize_t write(int file, const char* data, std::size_t size) {
    return unless_dead([&]() -> ssize_t { return disk().write(file, data, size, false); });
}

ssize_t write_at_start(int file, const char* data, std::size_t size) {
    return unless_dead([&]() -> ssize_t { return disk().write(file, data, size, true); });
}

int sync(int file) {
    return unless_dead([&] { return disk().sync(file); });
}

int status(int file, Status& result) {
    return unless_dead([&] { return take_over(disk().node_of(file), result); });
}

int status_of_link(const std::string& path, Status& result) {
    return told_by(path, result);
}

int status(const std::string& path, Status& result) {
    return told_by(path, result);
}

int status_in(int directory, const std::string& name, Status& result) {
    return told_by(path_in(directory, name), result);
}

int may_enter_in(int directory, const std::string& name) {
    Status status;
    return told_by(path_in(directory, name), status);
}

int list(int directory, std::vector<std::string>& names) {
    return unless_dead([&] { return disk().list(directory, names); });
}

int make_directory(const std::string& path) {
    return unless_dead([&] { return disk().make_directory(path); });
}

int make_directory_in(int directory, const std::string& name) {
    return unless_dead([&] { return disk().make_directory(path_in(directory, name)); });
}

int rename(const std::string& from, const std::string& to) {
    return unless_dead([&] { return disk().rename(from, to, true); });
}

int rename_in(int directory, const std::string& from, const std::string& to) {
    return unless_dead([&] { return disk().rename(path_in(directory, from), path_in(directory, to), true); });
}

int rename_without_replacing(const std::string& from, const std::string& to) {
    return unless_dead([&] { return disk().rename(from, to, false); });
}

int link(const std::string& from, const std::string& to) {
    return unless_dead([&] { return disk().link(from, to); });
}

int unlink(const std::string& path) {
    return unless_dead([&] { return disk().unlink(path, false); });
}

int unlink_in(int directory, const std::string& name) {
    return unless_dead([&] {
        return disk().unlink(disk().node_of(directory), name, disk().path_of(directory) + "/" + name, false);
    });
}

int remove_directory(const std::string& path) {
    return unless_dead([&] { return disk().unlink(path, true); });
}

int remove_directory_in(int directory, const std::string& name) {
    return unless_dead([&] {
        return disk().unlink(disk().node_of(directory), name, disk().path_of(directory) + "/" + name, true);
    });
}

int allow_owner_everything(int /*directory*/) {
    return 0;
}

int set_permissions(int /*file*/, unsigned /*permissions*/) {
    return 0;
}

int set_owner(int /*file*/, unsigned /*owner*/, unsigned /*group*/) {
    return 0;
}

int real_path(const std::string& path, std::string& result) {
    result = path;  // there are no links to follow
    return 0;
}

int lock(int file, bool /*wait*/) {
    return unless_dead([&] { return disk().lock(file); });
}

int lock_record(int file) {
    return unless_dead([&] { return disk().lock_record(file); });
}

int is_locked_by_another(int file) {
    return unless_dead([&] {
        const fake::NodePointer node = disk().node_of(file);
        return node && (node->held_by_shim || (node->record_holder >= 0 && node->record_holder != file)) ? 1
                                                                                                         : 0;
    });
}

}  // namespace file_calls
}  // namespace ralph::daemon
