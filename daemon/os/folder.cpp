#include "daemon/os/folder.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "daemon/os/file_content.h"

namespace ralph::daemon {

Result<std::optional<Folder>> Folder::open(const std::string& path) {
    FileDescriptor folder(file_calls::open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!folder) {
        return errno == ENOENT ? Result<std::optional<Folder>>{std::nullopt}
                               : Result<std::optional<Folder>>{system_error("open the folder", path, errno)};
    }
    return std::optional(Folder(std::move(folder), path));
}

Result<std::optional<Folder>> Folder::below(const std::string& relative) const {
    FileDescriptor folder(file_calls::open_below(descriptor_.get(), relative));
    if (!folder) {
        return errno == ENOENT
                   ? Result<std::optional<Folder>>{std::nullopt}
                   : Result<std::optional<Folder>>{system_error("open the folder", path_of(relative), errno)};
    }
    return std::optional(Folder(std::move(folder), path_of(relative)));
}

Result<Folder> Folder::make_below(const std::string& relative) const {
    const std::string first = relative.substr(0, relative.find('/'));
    if (file_calls::make_directory_in(descriptor_.get(), first) != 0) {
        if (errno != EEXIST) {
            return system_error("mkdir", path_of(first), errno);
        }
    } else if (auto synced = sync(); !synced) {
        return synced.error();
    }
    auto made = below(first);
    if (!made || !*made) {
        return made ? Error{path_of(first) + ": is gone again"} : made.error();
    }
    return first.size() == relative.size() ? Result<Folder>{std::move(**made)}
                                           : (*made)->make_below(relative.substr(first.size() + 1));
}

// The same folder once more.
Result<Folder> Folder::again() const {
    FileDescriptor folder(file_calls::open_in(descriptor_.get(), ".", O_RDONLY | O_DIRECTORY));
    return folder ? Result<Folder>{Folder(std::move(folder), path_)}
                  : Result<Folder>{system_error("open the folder", path_, errno)};
}

Result<std::optional<Folder::Place>> Folder::place_of(const std::string& relative) const {
    const std::size_t slash = relative.rfind('/');
    if (slash == std::string::npos) {
        auto same = again();
        return same ? Result<std::optional<Place>>{Place{std::move(*same), relative}} : same.error();
    }
    auto folder = below(relative.substr(0, slash));
    if (!folder || !*folder) {
        return folder ? Result<std::optional<Place>>{std::nullopt} : folder.error();
    }
    return std::optional(Place{std::move(**folder), relative.substr(slash + 1)});
}

Result<std::optional<Folder::Place>> Folder::find(const std::string& path, const std::string& relative) {
    auto folder = open(path);
    return folder && *folder ? (*folder)->place_of(relative)
           : folder          ? Result<std::optional<Place>>{std::nullopt}
                             : folder.error();
}

Result<Folder::Place> Folder::make_place_of(const std::string& relative) const {
    const std::size_t slash = relative.rfind('/');
    auto folder = slash == std::string::npos ? again() : make_below(relative.substr(0, slash));
    return folder ? Result<Place>{Place{std::move(*folder), relative.substr(slash + 1)}} : folder.error();
}

Result<std::vector<Folder::Entry>> Folder::entries() const {
    std::vector<std::string> names;
    if (file_calls::list(descriptor_.get(), names) != 0) {
        return system_error("list", path_, errno);
    }
    std::sort(names.begin(), names.end());
    std::vector<Entry> entries;
    for (std::string& name : names) {
        TRY_ASSIGN(auto kind, kind_of(name));
        if (kind) {
            entries.push_back({std::move(name), *kind});
        }
    }
    return entries;
}

Result<std::optional<Folder::Kind>> Folder::kind_of(const std::string& name) const {
    file_calls::Status status;
    if (file_calls::status_in(descriptor_.get(), name, status) == 0) {
        return std::optional(status.kind);
    }
    return errno == ENOENT ? Result<std::optional<Kind>>{std::nullopt}
                           : Result<std::optional<Kind>>{system_error("stat", path_of(name), errno)};
}

Result<void> Folder::open_to_owner() const {
    constexpr unsigned everything = 0700;
    file_calls::Status status;
    const bool failed =
        file_calls::status(descriptor_.get(), status) != 0 ||
        ((status.permissions & everything) != everything &&
         file_calls::set_permissions(descriptor_.get(), status.permissions | everything) != 0);
    return failed ? Result<void>{system_error("chmod", path_, errno)} : Result<void>{};
}

bool Folder::may_enter(const std::string& name) const {
    return file_calls::may_enter_in(descriptor_.get(), name) == 0;
}

Result<std::optional<std::string>> Folder::read(const std::string& name, std::size_t limit) const {
    const FileDescriptor file(retry_interrupted(
        [&] { return file_calls::open_in(descriptor_.get(), name, O_RDONLY | O_NONBLOCK); }));
    if (!file) {
        return errno == ENOENT
                   ? Result<std::optional<std::string>>{std::nullopt}
                   : Result<std::optional<std::string>>{system_error("open", path_of(name), errno)};
    }
    return read_all(file.get(), path_of(name), limit);
}

Result<void> Folder::write(const std::string& name, std::string_view content, unsigned mode) const {
    const std::string beginning = name + std::string(partial_suffix);
    TRY(remove(beginning));
    const FileDescriptor file(
        file_calls::open_in(descriptor_.get(), beginning, O_WRONLY | O_CREAT | O_EXCL, mode));
    if (!file) {
        return system_error("create", path_of(beginning), errno);
    }
    auto written = write_all(file.get(), content, path_of(beginning));
    if (written && retry_interrupted([&] { return file_calls::sync(file.get()); }) != 0) {
        written = system_error("sync", path_of(beginning), errno);
    }
    if (written && file_calls::rename_in(descriptor_.get(), beginning, name) != 0) {
        written = system_error("rename", path_of(name), errno);
    }
    if (!written) {
        static_cast<void>(file_calls::unlink_in(descriptor_.get(), beginning));
        return written;
    }
    return sync();
}

Result<void> Folder::rename(const std::string& from, const std::string& to) const {
    if (file_calls::rename_in(descriptor_.get(), from, to) != 0) {
        return system_error("rename", path_of(to), errno);
    }
    return {};
}

Result<void> Folder::copy_whole_from(const Folder& from, const std::string& name,
                                     const std::string& as) const {
    auto there = kind_of(as);
    if (!there || *there) {
        return there ? Result<void>{} : Result<void>{there.error()};
    }
    const std::string beginning = as + std::string(partial_suffix);
    auto copied =
        copy_opened(FileDescriptor(file_calls::open_in(from.descriptor_.get(), name, O_RDONLY | O_NONBLOCK)),
                    from.path_of(name), beginning);
    if (copied && *copied) {
        if (auto renamed = rename(beginning, as); !renamed) {
            copied = renamed.error();
        }
    }
    if (!copied) {
        static_cast<void>(file_calls::unlink_in(descriptor_.get(), beginning));
        return copied.error();
    }
    return {};
}

Result<bool> Folder::copy_from(const std::string& source, const std::string& name) const {
    return copy_opened(
        FileDescriptor(file_calls::open(source, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)), source,
        name);
}

Result<bool> Folder::copy_opened(const FileDescriptor& from, const std::string& source,
                                 const std::string& name) const {
    file_calls::Status status;
    if (!from || file_calls::status(from.get(), status) != 0) {
        return errno == ENOENT ? Result<bool>{false} : Result<bool>{system_error("open", source, errno)};
    }
    if (status.kind != Kind::regular) {
        return Error{source + ": is not a regular file"};
    }
    TRY(remove(name));
    const FileDescriptor to(file_calls::open_in(descriptor_.get(), name, O_WRONLY | O_CREAT | O_EXCL, 0600));
    if (!to || file_calls::set_permissions(to.get(), status.permissions) != 0) {
        return system_error("create", path_of(name), errno);
    }
    std::string buffer(1U << 20U, '\0');
    while (true) {
        const ssize_t got =
            retry_interrupted([&] { return file_calls::read(from.get(), buffer.data(), buffer.size()); });
        if (got <= 0) {
            return got == 0 ? Result<bool>{true} : Result<bool>{system_error("read", source, errno)};
        }
        const std::string_view part(buffer.data(), static_cast<std::size_t>(got));
        TRY(write_all(to.get(), part, path_of(name)));
    }
}

Result<void> Folder::remove(const std::string& name) const {
    if (file_calls::unlink_in(descriptor_.get(), name) != 0 && errno != ENOENT) {
        return system_error("remove", path_of(name), errno);
    }
    return {};
}

Result<void> Folder::sync() const {
    if (retry_interrupted([&] { return file_calls::sync(descriptor_.get()); }) != 0) {
        return system_error("sync", path_, errno);
    }
    return {};
}

Result<void> Folder::remove_tree(const std::string& name) const {
    return remove_tree_in(descriptor_.get(), path_, name);
}

Result<std::string> path_inside(const std::string& workspace, const std::string& relative) {
    for (std::size_t slash = relative.find('/'); slash != std::string::npos;
         slash = relative.find('/', slash + 1)) {
        const std::string folder = workspace + "/" + relative.substr(0, slash);
        if (path_exists(folder) && !is_directory(folder)) {
            return Error{fmt::format("{}: is not a folder, so {} cannot be written", folder, relative),
                         "remove it from the branch"};
        }
    }
    return workspace + "/" + relative;
}

}  // namespace ralph::daemon
