#include "daemon/store/repository_folder.h"

#include <filesystem>
#include <string_view>

#include "core/queue/task.h"
#include "daemon/os/file_calls.h"
#include "daemon/os/files.h"

namespace ralph::daemon {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t longest_path = 1U << 16U;

// The path that a small file of git's holds, after `key`; relative to `folder`. Empty if there is none.
std::string path_in(const std::string& file, std::string_view key, const std::string& folder) {
    const auto text = read_file(file, longest_path);
    const std::string content(core::trimmed(text && *text ? std::string_view(**text) : std::string_view{}));
    if (content.size() <= key.size() || content.compare(0, key.size(), key) != 0) {
        return {};
    }
    const std::string path(core::trimmed(std::string_view(content).substr(key.size())));
    return path.front() == '/' ? path : folder + "/" + path;
}

}  // namespace

std::string common_git_folder(const std::string& root) {
    const std::string git = real_path(root + "/.git");
    const std::string elsewhere = is_directory(git) ? std::string{} : path_in(git, "gitdir:", root);
    const std::string own = elsewhere.empty() ? git : real_path(elsewhere);
    const std::string common = path_in(own + "/commondir", "", own);
    return common.empty() ? own : real_path(common);
}

bool is_same_folder(const std::string& left, const std::string& right) {
    file_calls::Status one;
    file_calls::Status other;
    return file_calls::status(left, one) == 0 && file_calls::status(right, other) == 0 &&
           one.device == other.device && one.inode == other.inode;
}

std::string repository_name(const std::string& common_folder) {
    const fs::path path(common_folder);
    const std::string name = path.filename().string();
    if (name == ".git") {
        return path.parent_path().filename().string();
    }
    return name.ends_with(".git") ? name.substr(0, name.size() - 4) : name;
}

}  // namespace ralph::daemon
