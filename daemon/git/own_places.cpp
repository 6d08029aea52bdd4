#include "daemon/git/own_places.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "daemon/git/git.h"
#include "daemon/store/paths.h"

namespace ralph::daemon {
namespace {

using core::Error;
using core::Result;

// Whichever folder a repository has, nobody puts anything in these places of either.
constexpr std::array<std::string_view, 2> trust_files{".ralph/trust.jsonc", ".cueloop/trust.jsonc"};
constexpr std::array<std::string_view, 12> own_places{
    ".ralph/cache/parallel",        ".ralph/cache/stop_requested",
    ".ralph/cache/steering.json",   ".ralph/lock",
    ".ralph/logs/parallel",         trust_files[0],
    ".cueloop/cache/parallel",      ".cueloop/cache/stop_requested",
    ".cueloop/cache/steering.json", ".cueloop/lock",
    ".cueloop/logs/parallel",       trust_files[1]};

bool is_folder_of_ours(std::string_view path) {
    return path == ralph_folder || path == cueloop_folder;
}

bool is_trust_file(std::string_view path) {
    return std::find(trust_files.begin(), trust_files.end(), path) != trust_files.end();
}

bool is_in(std::string_view path, std::string_view folder) {
    return path.size() > folder.size() && path.substr(0, folder.size()) == folder &&
           path[folder.size()] == '/';
}

// Each once. What is in the way of all of .ralph is not looked for: then there is no ralph here.
std::vector<std::string> own_places_of(const std::vector<std::string>& paths) {
    std::vector<std::string> places;
    for (const std::string& path : paths) {
        const auto place = is_folder_of_ours(path) ? std::nullopt : own_place_of(path);
        if (place && !is_trust_file(*place) &&
            std::find(places.begin(), places.end(), *place) == places.end()) {
            places.push_back(*place);
        }
    }
    return places;
}

}  // namespace

std::optional<std::string> own_place_of(std::string_view path) {
    for (const std::string_view place : own_places) {
        if (path == place || is_in(path, place)) {
            return std::string(place);
        }
        if (is_in(place, path)) {
            return std::string(path);
        }
    }
    return std::nullopt;
}

Result<std::vector<std::string>> own_places_in(const std::string& root, const std::string& revision) {
    const Git repository(root);
    const auto tree = repository.resolve(revision + "^{tree}");
    if (!tree || !*tree) {
        return tree ? Result<std::vector<std::string>>{std::vector<std::string>{}} : tree.error();
    }
    auto paths = repository.output({"ls-tree", "-r", "-z", "--full-tree", "--name-only", **tree, "--",
                                    std::string(ralph_folder), std::string(cueloop_folder)});
    return paths ? Result<std::vector<std::string>>{own_places_of(split_at_nul(*paths))} : paths.error();
}

Result<void> check_own_places(const std::string& root) {
    const auto indexed =
        Git(root).output({"ls-files", "-z", "--", fmt::format(":(top,literal){}", ralph_folder),
                          fmt::format(":(top,literal){}", cueloop_folder)});
    if (!indexed) {
        return indexed.error();
    }
    std::vector<std::string> places = own_places_of(split_at_nul(*indexed));
    const bool in_index = !places.empty();
    if (!in_index) {
        TRY_ASSIGN(places, own_places_in(root, "HEAD"));
    }
    if (places.empty()) {
        return {};
    }
    return Error{fmt::format("{}/{}: git tracks it, but it is a supervisor's own: whoever pushes to it would "
                             "write over what this one remembers",
                             root, places.front()),
                 in_index ? fmt::format("`git -C {} rm -r --cached {}`, then commit and push that", root,
                                        fmt::join(places, " "))
                          : std::string("its removal is staged: commit and push that")};
}

std::string take_off_elsewhere(const std::string& place) {
    return fmt::format(
        "in another clone, run `git rm -r --cached {}`, commit and push; do not pull here before "
        "that, since git would write over what is here",
        place);
}

}  // namespace ralph::daemon
