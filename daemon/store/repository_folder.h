// Where a repository is, told without git: it is asked before anything is known to be sound.
#pragma once

#include <string>

namespace ralph::daemon {

// The folder in which the repository around the working tree `root` has its refs and objects: root/.git, or
// for a linked working tree that of the repository to which it belongs, so that it is the same for all of
// them. Absolute, without links. What cannot be understood there is taken for the folder itself.
[[nodiscard]] std::string common_git_folder(const std::string& root);

// Whether both paths lead to the same folder, whatever they are called; false if one of them does not exist.
[[nodiscard]] bool is_same_folder(const std::string& left, const std::string& right);

// "project" for /home/me/project/.git and /srv/git/project.git
[[nodiscard]] std::string repository_name(const std::string& common_folder);

}  // namespace ralph::daemon
