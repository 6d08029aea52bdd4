#include "daemon/git/own_places.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "daemon/git/git.h"

namespace ralph::daemon {
namespace {

using core::Error;
using core::Result;

constexpr std::string_view ralph_folder = ".ralph";
constexpr std::string_view trust_file = ".ralph/trust.jsonc";
constexpr std::array<std::string_view, 5> own_places{".ralph/cache/parallel", ".ralph/cache/stop_requested",
                                                     ".ralph/lock", ".ralph/logs/parallel", trust_file};

bool is_in(std::string_view path, std::string_view folder) {
    return path.size() > folder.size() && path.substr(0, folder.size()) == folder &&
           path[folder.size()] == '/';
}

// Each once. What is in the way of all of .ralph is not looked for: then there is no ralph here.
std::vector<std::string> own_places_of(const std::vector<std::string>& paths) {
    std::vector<std::string> places;
    for (const std::string& path : paths) {
        const auto place = path == ralph_folder ? std::nullopt : own_place_of(path);
        if (place && *place != trust_file &&
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
    auto paths = repository.output(
        {"ls-tree", "-r", "-z", "--full-tree", "--name-only", **tree, "--", std::string(ralph_folder)});
    return paths ? Result<std::vector<std::string>>{own_places_of(split_at_nul(*paths))} : paths.error();
}

Result<void> check_own_places(const std::string& root) {
    const auto indexed =
        Git(root).output({"ls-files", "-z", "--", fmt::format(":(top,literal){}", ralph_folder)});
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
