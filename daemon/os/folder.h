// A folder that is held by its descriptor. Whatever is done in it is done in that very folder, and below it
// no symbolic link is followed and no other file system is entered: for folders in which others, such as
// workers, may have put anything. A name that is in the way is an error that does not pass.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/os/file_calls.h"
#include "daemon/os/file_descriptor.h"
#include "daemon/os/files.h"

namespace ralph::daemon {

class Folder {
  public:
    using Kind = file_calls::Kind;

    // Links on the way to it are followed, since that way is ours; it must not be one itself. Nothing if
    // there is no such folder.
    [[nodiscard]] static Result<std::optional<Folder>> open(const std::string& path);

    // A path of plain names below it. Nothing if there is no such folder.
    [[nodiscard]] Result<std::optional<Folder>> below(const std::string& relative) const;
    // The same; what is not there is made.
    [[nodiscard]] Result<Folder> make_below(const std::string& relative) const;

    struct Entry {
        std::string name;
        Kind kind = Kind::other;
    };
    [[nodiscard]] Result<std::vector<Entry>> entries() const;  // by name
    // Of a link itself; nothing if there is no such name.
    [[nodiscard]] Result<std::optional<Kind>> kind_of(const std::string& name) const;
    // Where a path of plain names below it leads: its last folder, and the name in it. Nothing if a folder on
    // the way is not there.
    struct Place;
    [[nodiscard]] Result<std::optional<Place>> place_of(const std::string& relative) const;
    // The same below the folder `path`, which is opened first.
    [[nodiscard]] static Result<std::optional<Place>> find(const std::string& path,
                                                           const std::string& relative);
    [[nodiscard]] Result<Place> make_place_of(const std::string& relative) const;
    // Its owner may list, enter and change it from now on, if it is ours.
    [[nodiscard]] Result<void> open_to_owner() const;
    // Whether the folder `name` can be listed, and what is in it be reached.
    [[nodiscard]] bool may_enter(const std::string& name) const;

    // A regular file; nothing if it is not there.
    [[nodiscard]] Result<std::optional<std::string>> read(const std::string& name,
                                                          std::size_t limit = 64ULL << 20) const;
    // Replaces the file by a new one, durably, as write_file_durably() does it.
    [[nodiscard]] Result<void> write(const std::string& name, std::string_view content,
                                     unsigned mode = 0600) const;
    // Copies a regular file from anywhere, with its permissions, in the place of a file or link that is
    // there; not durably. False: the file has gone meanwhile.
    [[nodiscard]] Result<bool> copy_from(const std::string& source, const std::string& name) const;
    // A copy of the file of that name in `from`, whole or not at all; not durably. What is called `as` here
    // stays. Never a second name for the same file: whoever writes to the one would change the other.
    [[nodiscard]] Result<void> copy_whole_from(const Folder& from, const std::string& name,
                                               const std::string& as) const;
    // Within this folder, in the place of a file that is there; not durably.
    [[nodiscard]] Result<void> rename(const std::string& from, const std::string& to) const;
    // Files and links; missing is success.
    [[nodiscard]] Result<void> remove(const std::string& name) const;
    // What was made, renamed and removed in it is so after a loss of power, too.
    [[nodiscard]] Result<void> sync() const;
    // A folder and all below it; missing is success.
    [[nodiscard]] Result<void> remove_tree(const std::string& name) const;

    [[nodiscard]] const std::string& path() const { return path_; }  // for messages

  private:
    Folder(FileDescriptor descriptor, std::string path)
        : descriptor_(std::move(descriptor)), path_(std::move(path)) {}
    [[nodiscard]] Result<Folder> again() const;
    [[nodiscard]] Result<bool> copy_opened(const FileDescriptor& from, const std::string& source,
                                           const std::string& name) const;
    [[nodiscard]] std::string path_of(std::string_view name) const { return path_ + "/" + std::string(name); }

    FileDescriptor descriptor_;
    std::string path_;
};

struct Folder::Place {
    Folder folder;
    std::string name;
};

// A path relative to the workspace, made absolute; an error if a folder on the way is a symbolic link or no
// folder, so that nothing is written outside.
[[nodiscard]] Result<std::string> path_inside(const std::string& workspace, const std::string& relative);

}  // namespace ralph::daemon
