#include "daemon/git/large_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/git/plain_git.h"
#include "daemon/os/folder.h"
#include "daemon/os/program.h"

namespace ralph::daemon {
namespace {

using core::Error;
using core::Result;

constexpr const char* place = "lfs/objects";
constexpr std::string_view unproven_suffix = ".unproven";
constexpr int deepest = 8;
constexpr std::size_t digits_of_name = 64;
constexpr std::size_t files_at_once = 200;

// "ab/cd/" of "abcd…"; nothing if that is no name of a large file.
std::optional<std::string> folder_of(const std::string& name) {
    const bool is_name =
        name.size() == digits_of_name && name.find_first_not_of("0123456789abcdef") == std::string::npos;
    return is_name ? std::optional(name.substr(0, 2) + "/" + name.substr(2, 2) + "/") : std::nullopt;
}

class Carrier {
  public:
    Carrier(const Folder& to, LargeFilesOf whose) : to_(to), whose_(whose) {}

    void bring(const Folder& from, const Folder& to, const std::string& relative, int depth) {
        const auto entries = from.entries();
        if (!entries || depth > deepest) {
            return;
        }
        for (const Folder::Entry& entry : *entries) {
            if (entry.kind == Folder::Kind::directory) {
                const auto source = from.below(entry.name);
                const auto target = to.make_below(entry.name);
                if (source && *source && target) {
                    bring(**source, *target, relative + entry.name + "/", depth + 1);
                }
            } else if (entry.kind == Folder::Kind::regular) {
                bring_file(from, to, relative, entry.name);
            }
        }
    }

    // What does not have the content that its name says goes.
    [[nodiscard]] Result<void> prove() const {
        if (bad_minute_) {
            return *bad_minute_;
        }
        for (std::size_t at = 0; at < unproven_.size(); at += files_at_once) {
            const std::vector<std::string> names(
                unproven_.begin() + static_cast<std::ptrdiff_t>(at),
                unproven_.begin() +
                    static_cast<std::ptrdiff_t>(std::min(at + files_at_once, unproven_.size())));
            TRY_ASSIGN(const auto proven, proven_of(names));
            for (const std::string& name : names) {
                const auto folder = to_.below(folder_of(name)->substr(0, 5));
                if (!folder || !*folder) {
                    continue;
                }
                const std::string unproven = name + std::string(unproven_suffix);
                if (auto done = proven.count(name) != 0 ? (*folder)->rename(unproven, name)
                                                        : (*folder)->remove(unproven);
                    !done) {
                    return done;
                }
            }
        }
        return {};
    }

  private:
    void bring_file(const Folder& from, const Folder& to, const std::string& relative,
                    const std::string& name) {
        if (whose_ == LargeFilesOf::us) {
            static_cast<void>(to.copy_whole_from(from, name, name));
            return;
        }
        const auto there = to.kind_of(name);
        const std::string unproven = name + std::string(unproven_suffix);
        if (folder_of(name) != relative || (there && *there)) {
            return;
        }
        auto copied = there ? to.remove(unproven) : Result<void>{there.error()};
        copied = copied ? to.copy_whole_from(from, name, unproven) : copied;
        if (copied) {
            unproven_.push_back(name);
        } else if (copied.error().is_passing()) {
            bad_minute_ = copied.error();
        }
    }

    // Of these, those whose content is what they are called.
    [[nodiscard]] Result<std::set<std::string>> proven_of(const std::vector<std::string>& names) const {
        ProgramRequest request;
        request.program = "sha256sum";
        request.missing = core::Fault::passing;  // it is being upgraded
        request.arguments = {"--zero", "--"};
        for (const std::string& name : names) {
            request.arguments.push_back(*folder_of(name) + name + std::string(unproven_suffix));
        }
        request.directory = to_.path();
        request.environment = {"PATH=" + our_variable("PATH"), "LC_ALL=C"};
        const auto end = run_program(request);
        if (!end || !end->succeeded()) {
            return end ? Error{{fmt::format("sha256sum {}: {}", end->describe(), last_lines(end->errors)),
                                {},
                                end->signal != 0 ? core::Fault::passing : fault_in(end->errors)}}
                       : end.error();
        }
        std::set<std::string> proven;
        for (const std::string& line : split_at_nul(end->output)) {  // "<hash>  <file>" NUL
            const std::string hash = line.substr(0, digits_of_name);
            const auto folder = folder_of(hash);
            if (folder &&
                line.substr(digits_of_name) == "  " + *folder + hash + std::string(unproven_suffix)) {
                proven.insert(hash);
            }
        }
        return proven;
    }

    const Folder& to_;
    LargeFilesOf whose_;
    std::vector<std::string> unproven_;
    std::optional<Error> bad_minute_;  // in which a worker's file could not be copied
};

}  // namespace

Result<void> bring_large_files(const Git& from, LargeFilesOf whose, const Git& to) {
    const auto source_git = git_folder_of(from);
    const auto target_git = git_folder_of(to);
    if (!source_git || !target_git) {
        return {};
    }
    const auto source = source_git->below(place);
    if (!source || !*source) {
        return {};
    }
    const auto target = target_git->make_below(place);
    if (!target) {
        return {};
    }
    Carrier carrier(*target, whose);
    carrier.bring(**source, *target, "", 0);
    return carrier.prove();
}

}  // namespace ralph::daemon
