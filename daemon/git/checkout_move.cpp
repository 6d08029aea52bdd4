#include "daemon/git/checkout_move.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <filesystem>
#include <system_error>

#include "core/base/canonical_json.h"
#include "core/base/json_reader.h"
#include "daemon/git/checkout_files.h"
#include "daemon/git/git_lock.h"
#include "daemon/git/own_places.h"

namespace ralph::daemon {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t marker_version = 1;
constexpr std::size_t marker_limit = std::size_t{64} << 10U;
constexpr std::size_t entries_at_once = 100;
constexpr unsigned shared_mode = 0644;

std::string move_text(const Move& move) {
    boost::json::object root;
    root["version"] = marker_version;
    root["branch"] = move.branch;
    root["from"] = move.from;
    root["to"] = move.to;
    return core::canonical_json(root);
}

Result<void> remove_durably(const std::string& path) {
    TRY(remove_file(path));
    return sync_directory(fs::path(path).parent_path().string());
}

// How far the move may go on; `why` is for a person, but for a fault.
enum class Outlook { goes_on, refused, fault };
struct Answer {
    Outlook outlook = Outlook::goes_on;
    std::string why;
};

Answer fault(const Error& error) {
    return {Outlook::fault, error.line()};
}
Answer refused(std::string why) {
    return {Outlook::refused, std::move(why)};
}

class Mover {
  public:
    Mover(const Settings& settings, const FileLock& lock, const Move& move)
        : settings_(settings),
          move_(move),
          git_(settings.paths.root),
          writing_(git_.holding(lock)),
          command_(fmt::format("git -C {} ", settings.paths.root)) {}

    CheckoutEnd begin() {
        if (Answer answer = check_own_places(); answer.outlook != Outlook::goes_on) {
            return {left_alone(answer.why), false};
        }
        if (auto marked = write_file_durably(settings_.paths.checkout_move(), move_text(move_)); !marked) {
            return {left_alone(marked.error().line()), false};
        }
        Answer answer = take_lock();
        if (answer.outlook == Outlook::goes_on) {
            answer = prepare_index();
        }
        if (answer.outlook == Outlook::goes_on) {
            answer = check_possible();
        }
        if (answer.outlook != Outlook::goes_on) {  // nothing has been changed yet
            const std::string why = left_alone(answer.why);
            return forget() ? CheckoutEnd{why, false} : CheckoutEnd{why, true};
        }
        return conclude(carry_out());
    }

    CheckoutEnd end() { return conclude(go_on()); }

  private:
    // --- from what is found

    Answer go_on() {
        if (Answer answer = take_lock(); answer.outlook != Outlook::goes_on) {
            return answer;
        }
        auto branch = git_.current_branch();
        auto head = git_.head();
        if (!branch || !head) {
            return fault(branch ? head.error() : branch.error());
        }
        if (branch->value_or("") != move_.branch || (*head != move_.from && *head != move_.to)) {
            given_up_ = "somebody has moved it meanwhile, so it is left as it is";
            return {};
        }
        auto staged = git_.run({"diff-index", "--cached", "--quiet", move_.from});
        if (!staged || staged->status > 1) {
            return fault(staged ? Error{last_lines(staged->errors)} : staged.error());
        }
        if (staged->status == 1 && *head == move_.to) {
            return {};  // the index has been renamed: all was done
        }
        return look_and_carry_out(*head == move_.from);
    }

    Answer look_and_carry_out(bool branch_is_behind) {
        auto changes = changes_of(git_, move_);
        if (!changes) {
            return fault(changes.error());
        }
        auto progress = progress_of(git_, move_, *changes);
        if (!progress) {
            return fault(progress.error());
        }
        if (!progress->foreign.empty()) {
            if (!progress->begun && branch_is_behind) {
                given_up_ = fmt::format("it has uncommitted changes in {}",
                                        core::printable(progress->foreign.front()));
                return {};
            }
            fix_bookkeeping(*changes, progress->foreign);
            return refused(changed_by_user(*changes, progress->foreign.front()));
        }
        if (Answer answer = prepare_index(); answer.outlook != Outlook::goes_on) {
            return answer;
        }
        if (auto entered = enter(progress->arrived); !entered) {
            return fault(entered.error());
        }
        if (auto removed = remove_torn(progress->torn); !removed) {
            return fault(removed.error());
        }
        if (Answer answer = check_possible(); answer.outlook != Outlook::goes_on) {
            fix_bookkeeping(*changes, {});
            return answer;
        }
        return carry_out();
    }

    // With the folders that are empty then, which may be in the place of a file.
    Result<void> remove_torn(const std::vector<std::string>& torn) const {
        for (auto path = torn.rbegin(); path != torn.rend(); ++path) {
            const std::string full = settings_.paths.root + "/" + *path;
            TRY(is_directory(full) ? Result<void>{} : remove_file(full));
            fs::path folder = is_directory(full) ? fs::path(full) : fs::path(full).parent_path();
            while (folder != settings_.paths.root && remove_empty_directory(folder.string())) {
                folder = folder.parent_path();
            }
        }
        return {};
    }

    [[nodiscard]] std::string changed_by_user(const std::vector<FileChange>& changes,
                                              const std::string& path) const {
        const auto change = std::find_if(changes.begin(), changes.end(),
                                         [&path](const FileChange& each) { return each.path == path; });
        const bool is_removed = change != changes.end() && change->to_mode == "000000";
        return fmt::format(
            "{} was changed in the middle of it; save your change elsewhere, then run `{}`, and start ralph "
            "again",
            core::printable(path),
            is_removed ? fmt::format("rm {}/{}", settings_.paths.root, core::printable(path))
                       : fmt::format("{}restore --source={} -- {}", command_, move_.to.substr(0, 12),
                                     core::printable(path)));
    }

    // Whatever else has to wait for a person, queue and done go together, so that work can go on.
    void fix_bookkeeping(const std::vector<FileChange>& changes,
                         const std::vector<std::string>& foreign) const {
        const std::array<const std::string*, 2> files{&settings_.done_relative, &settings_.queue_relative};
        const auto is_foreign = [&](const std::string* file) {
            return std::find(foreign.begin(), foreign.end(), *file) != foreign.end();
        };
        if (std::any_of(files.begin(), files.end(), is_foreign)) {
            return;
        }
        for (const FileChange& change : changes) {
            const bool wanted = std::any_of(files.begin(), files.end(),
                                            [&](const std::string* file) { return *file == change.path; });
            auto text = wanted ? git_.file_at(move_.to, change.path)
                               : Result<std::optional<std::string>>{std::nullopt};
            if (text && *text) {
                // If this fails, the queue is found wanting, and that is told.
                static_cast<void>(
                    write_file_durably(settings_.paths.root + "/" + change.path, **text, shared_mode));
            }
        }
    }

    // --- the move

    // git would write over them without a word, since they are ignored.
    [[nodiscard]] Answer check_own_places() const {
        const auto changes = changes_of(git_, move_);
        if (!changes) {
            return fault(changes.error());
        }
        for (const FileChange& change : *changes) {
            const auto place = change.to_mode == "000000" ? std::nullopt : own_place_of(change.path);
            if (place) {
                return refused(fmt::format("{} has {}, which is a supervisor's own; {}",
                                           move_.to.substr(0, 12), *place, take_off_elsewhere(*place)));
            }
        }
        return {};
    }

    Answer take_lock() {
        auto folders = find_git_folders(git_);
        if (!folders) {
            return fault(folders.error());
        }
        folders_ = std::move(*folders);
        auto taken = GitLock::take(folders_.own, "index",
                                   fmt::format("ralph brings {} forward to {}\n", move_.branch, move_.to));
        if (!taken) {
            return fault(taken.error());
        }
        if (!*taken) {
            return refused(fmt::format("another git is at work in it; if none is, run `rm {}/index.lock`",
                                       folders_.own));
        }
        index_lock_.emplace(std::move(**taken));
        return {};
    }

    [[nodiscard]] std::string private_index() const { return folders_.own + "/ralph-checkout-index"; }

    Answer prepare_index() {
        for (const char* ending : {"", ".lock"}) {  // a killed one's
            if (auto removed = remove_file(private_index() + ending); !removed) {
                return fault(removed.error());
            }
        }
        std::error_code problem;
        if (!fs::copy_file(folders_.own + "/index", private_index(), problem)) {
            return fault(Error{fmt::format("{}/index: {}", folders_.own, problem.message())});
        }
        writing_ = writing_.with_environment("GIT_INDEX_FILE", private_index());
        return {};
    }

    Result<ProgramEnd> change(const std::vector<std::string>& arguments) const {
        std::vector<std::string> all{"-c", "core.hooksPath=/dev/null", "-c", "core.splitIndex=false",
                                     "-c", "submodule.recurse=false"};
        all.insert(all.end(), arguments.begin(), arguments.end());
        return writing_.run(all);
    }

    Result<void> enter(const std::vector<FileChange>& arrived) const {
        for (std::size_t at = 0; at < arrived.size(); at += entries_at_once) {
            std::vector<std::string> arguments{"update-index", "--add", "--replace"};
            for (std::size_t i = at; i < std::min(at + entries_at_once, arrived.size()); ++i) {
                arguments.insert(arguments.end(),
                                 {"--cacheinfo", fmt::format("{},{},{}", arrived[i].to_mode, arrived[i].to,
                                                             arrived[i].path)});
            }
            auto end = change(arguments);
            if (!end || end->status != 0) {
                return end ? Error{last_lines(end->errors)} : end.error();
            }
        }
        return {};
    }

    // Whether git would change all that has to be changed; it changes nothing yet.
    Answer check_possible() const {
        if (auto refreshed = change({"update-index", "-q", "--refresh"}); !refreshed) {
            return fault(refreshed.error());  // its status only says that there are changes
        }
        auto possible = change({"read-tree", "-m", "-u", "--dry-run", move_.from, move_.to});
        if (!possible) {
            return fault(possible.error());
        }
        return possible->status == 0 ? Answer{} : refused(last_lines(possible->errors));
    }

    Answer carry_out() {
        auto moved = change({"read-tree", "-m", "-u", move_.from, move_.to});
        if (!moved || moved->status != 0) {
            return fault(moved ? Error{last_lines(moved->errors)} : moved.error());
        }
        if (auto synced = sync_file_system(settings_.paths.root); !synced) {
            return fault(synced.error());
        }
        auto branch = move_ref(git_, folders_, "refs/heads/" + move_.branch, move_.from, move_.to,
                               fmt::format("ralph: fast-forward to origin/{}", move_.branch));
        if (!branch) {
            return fault(branch.error());
        }
        if (auto renamed = rename_durably(private_index(), folders_.own + "/index"); !renamed) {
            return fault(renamed.error());
        }
        return {};
    }

    // --- the end

    Result<void> forget() {
        for (const char* ending : {"", ".lock"}) {
            TRY(remove_file(private_index() + ending));
        }
        // Without the marker, a lock that was left would be found by nobody.
        index_lock_.reset();
        return remove_durably(settings_.paths.checkout_move());
    }

    CheckoutEnd conclude(const Answer& answer) {
        switch (answer.outlook) {
            case Outlook::goes_on:
                if (auto forgotten = forget(); !forgotten) {
                    return {half_way(forgotten.error().line()), true};
                }
                return {given_up_.empty() ? std::string{} : left_alone(given_up_), false};
            case Outlook::refused:
                return {half_way(answer.why), false};
            case Outlook::fault:
                return {half_way(answer.why), true};
        }
        return {};
    }

    [[nodiscard]] std::string left_alone(const std::string& why) const {
        return fmt::format("the checkout {} was not brought forward to origin/{}: {}", settings_.paths.root,
                           move_.branch, why);
    }
    [[nodiscard]] std::string half_way(const std::string& why) const {
        return fmt::format("the checkout {} is half-way from {} to {}: {}", settings_.paths.root,
                           move_.from.substr(0, 12), move_.to.substr(0, 12), why);
    }

    const Settings& settings_;
    const Move& move_;
    Git git_;
    Git writing_;  // holds the repository's lock; with an index of its own
    std::string command_;
    GitFolders folders_;
    std::optional<GitLock> index_lock_;
    std::string given_up_;
};

}  // namespace

Result<std::optional<Move>> read_move(const Paths& paths) {
    TRY_ASSIGN(auto text, read_file(paths.checkout_move(), marker_limit));
    if (!text) {
        return std::optional<Move>{};
    }
    const auto remedy = [&paths](const Error& error) {
        return Error{error.line(),
                     fmt::format("look at the checkout with `git -C {} status`, fix it, then run `rm {}`",
                                 paths.root, paths.checkout_move())};
    };
    auto document = core::JsonDocument::parse(std::move(*text), paths.checkout_move());
    if (!document) {
        return remedy(document.error());
    }
    std::optional<core::JsonFault> wrong;
    core::ObjectReader reader(document->root(), "", wrong);
    std::uint32_t version = 0;
    Move move;
    reader.require("version", version);
    if (reader.ok() && version != marker_version) {
        reader.fail("version",
                    fmt::format("is {}, and this ralph knows version {}", version, marker_version));
    }
    reader.require("branch", move.branch);
    reader.require("from", move.from);
    reader.require("to", move.to);
    return wrong ? Result<std::optional<Move>>{remedy(document->error_at(wrong->path, wrong->message))}
                 : std::optional(std::move(move));
}

CheckoutEnd begin_move(const Settings& settings, const FileLock& lock, const Move& move) {
    return Mover(settings, lock, move).begin();
}

CheckoutEnd end_move(const Settings& settings, const FileLock& lock, const Move& move) {
    return Mover(settings, lock, move).end();
}

}  // namespace ralph::daemon
