#include "daemon/git/checkout_files.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <sstream>
#include <system_error>

#include "daemon/os/folder.h"

namespace ralph::daemon {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view absent = "000000";
constexpr std::string_view executable = "100755";
constexpr std::string_view symbolic_link = "120000";
constexpr std::string_view commit_of_submodule = "160000";
constexpr std::size_t files_at_once = 100;

enum class Standing { at_from, at_to, torn, missing, foreign };

class Inspection {
  public:
    Inspection(const Git& git, const Move& move) : git_(git), move_(move) {}

    // Of regular files, by what git would store of them.
    Result<void> read_objects(const std::vector<FileChange>& changes) {
        std::vector<std::string> paths;
        for (const FileChange& change : changes) {
            if (type_of(change) == fs::file_type::regular) {
                paths.push_back(change.path);
            }
        }
        for (std::size_t at = 0; at < paths.size(); at += files_at_once) {
            const auto end =
                paths.begin() + static_cast<std::ptrdiff_t>(std::min(at + files_at_once, paths.size()));
            std::vector<std::string> arguments{"hash-object", "--"};
            arguments.insert(arguments.end(), paths.begin() + static_cast<std::ptrdiff_t>(at), end);
            TRY_ASSIGN(auto objects, git_.output(arguments));
            std::istringstream lines(objects);
            for (auto path = paths.begin() + static_cast<std::ptrdiff_t>(at); path != end; ++path) {
                lines >> objects_[*path];
            }
        }
        return {};
    }

    Result<Standing> look_at(const FileChange& change) {
        if (change.from_mode == commit_of_submodule || change.to_mode == commit_of_submodule) {
            return Standing::at_from;  // git leaves submodules alone
        }
        switch (type_of(change)) {
            case fs::file_type::not_found:
                return change.from_mode == absent ? Standing::at_from
                       : change.to_mode == absent ? Standing::at_to
                                                  : Standing::missing;
            case fs::file_type::directory:  // one becomes the other; git looks what is in it
                return change.from_mode == absent ? Standing::at_from : Standing::torn;
            case fs::file_type::regular:
                return look_at_file(change);
            case fs::file_type::symlink:
                return look_at_link(change);
            case fs::file_type::none:
            case fs::file_type::block:
            case fs::file_type::character:
            case fs::file_type::fifo:
            case fs::file_type::socket:
            case fs::file_type::unknown:
                return Standing::foreign;
        }
        return Standing::foreign;
    }

  private:
    [[nodiscard]] fs::file_type type_of(const FileChange& change) const {
        // Nothing is looked for behind a symbolic link in the place of a folder.
        const auto path = path_inside(git_.directory(), change.path);
        std::error_code missing;
        const auto status =
            path ? fs::symlink_status(*path, missing) : fs::file_status(fs::file_type::not_found);
        return status.type() == fs::file_type::none ? fs::file_type::not_found : status.type();
    }

    Result<Standing> look_at_file(const FileChange& change) {
        const std::string& object = objects_[change.path];
        const std::string path = git_.directory() + "/" + change.path;
        if (object == change.from || object == change.to) {
            if (change.from != change.to) {
                return object == change.to ? Standing::at_to : Standing::at_from;
            }
            std::error_code problem;
            const auto permissions = fs::status(path, problem).permissions();
            const bool runs = (permissions & fs::perms::owner_exec) != fs::perms::none;
            return runs == (change.to_mode == executable) ? Standing::at_to : Standing::at_from;
        }
        auto text = read_file(path);
        if (!text || !*text) {
            return text ? Error{path + " vanished while the checkout was looked at"} : text.error();
        }
        auto earlier = content(change.from_mode, move_.from, change.path);
        auto later = content(change.to_mode, move_.to, change.path);
        if (!earlier || !later) {
            return earlier ? later.error() : earlier.error();
        }
        if (*later && (*later)->compare(0, (*text)->size(), **text) == 0) {
            return Standing::torn;
        }
        return *earlier && **earlier == **text ? Standing::at_from : Standing::foreign;
    }

    // What git would write for it into the working tree.
    Result<std::optional<std::string>> content(const std::string& mode, const std::string& commit,
                                               const std::string& path) const {
        if (mode == absent || mode == symbolic_link) {
            return std::optional<std::string>{};
        }
        auto text = git_.output({"cat-file", "--filters", commit + ":" + path});
        return text ? Result<std::optional<std::string>>{std::optional(std::move(*text))} : text.error();
    }

    Result<Standing> look_at_link(const FileChange& change) const {
        std::error_code problem;
        const std::string target = fs::read_symlink(git_.directory() + "/" + change.path, problem).string();
        for (const bool is_later : {true, false}) {
            if ((is_later ? change.to_mode : change.from_mode) != symbolic_link) {
                continue;
            }
            const auto stored = git_.output({"cat-file", "blob", is_later ? change.to : change.from});
            if (!stored) {
                return stored.error();
            }
            if (*stored == target) {
                return is_later ? Standing::at_to : Standing::at_from;
            }
        }
        return Standing::foreign;
    }

    const Git& git_;
    const Move& move_;
    std::map<std::string, std::string> objects_;  // by path
};

// Whether a file is where a folder was, or the other way round: the index cannot hold the one while git looks
// for the other.
bool takes_the_place_of_another(const FileChange& change, const std::vector<FileChange>& changes) {
    const auto is_below = [](const std::string& path, const std::string& folder) {
        return path.size() > folder.size() && path.compare(0, folder.size(), folder) == 0 &&
               path[folder.size()] == '/';
    };
    return change.from_mode == absent &&
           std::any_of(changes.begin(), changes.end(), [&](const FileChange& other) {
               return other.to_mode == absent &&
                      (is_below(change.path, other.path) || is_below(other.path, change.path));
           });
}

}  // namespace

Result<std::vector<FileChange>> changes_of(const Git& git, const Move& move) {
    // ":<old mode> <new mode> <old object> <new object> <status>" NUL path NUL
    auto text =
        git.output({"diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", move.from, move.to});
    if (!text) {
        return text.error();
    }
    std::vector<FileChange> changes;
    const auto fields = split_at_nul(*text);
    for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
        std::istringstream words(fields[i].substr(1));
        FileChange change;
        words >> change.from_mode >> change.to_mode >> change.from >> change.to;
        change.path = fields[i + 1];
        changes.push_back(std::move(change));
    }
    return changes;
}

Result<Progress> progress_of(const Git& git, const Move& move, const std::vector<FileChange>& changes) {
    Inspection inspection(git, move);
    TRY(inspection.read_objects(changes));
    Progress progress;
    for (const FileChange& change : changes) {
        TRY_ASSIGN(auto standing, inspection.look_at(change));
        switch (standing) {
            case Standing::at_from:
                break;
            case Standing::at_to:
                progress.begun = true;
                if (takes_the_place_of_another(change, changes)) {
                    progress.torn.push_back(change.path);  // it will be written anew
                } else if (change.to_mode != absent) {
                    progress.arrived.push_back(change);
                }
                break;
            case Standing::torn:
                progress.begun = true;
                progress.torn.push_back(change.path);
                break;
            case Standing::missing:
                progress.begun = true;
                break;
            case Standing::foreign:
                progress.foreign.push_back(change.path);
                break;
        }
    }
    return progress;
}

}  // namespace ralph::daemon
