#include "daemon/workspace/neighbours.h"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <optional>

#include "core/base/canonical_json.h"
#include "core/base/jsonc.h"
#include "daemon/git/git.h"
#include "daemon/os/files.h"
#include "daemon/os/program.h"
#include "daemon/store/repository_folder.h"
#include "daemon/store/supervisor_lock.h"

namespace ralph::daemon {
namespace {

namespace json = boost::json;

constexpr std::size_t longest_note = 1U << 16U;

// Empty if the user has no home.
std::string notes_folder() {
    const std::string state = our_variable("XDG_STATE_HOME");
    const std::string home = our_variable("HOME");
    if (state.empty() && home.empty()) {
        return {};
    }
    return (state.empty() ? home + "/.local/state" : state) + "/ralph/supervisors";
}

std::string address_of(const Settings& settings) {
    const auto url = Git(settings.paths.root).origin_url(Git::Direction::fetch);
    return url ? url->value_or(std::string{}) : std::string{};
}

struct Note {
    std::string root;
    std::string address;
};

std::optional<Note> read_note(const std::string& path) {
    auto text = read_file(path, longest_note);
    if (!text || !*text) {
        return std::nullopt;
    }
    const auto document = core::JsonDocument::parse(std::move(**text), path);
    const json::object* const object = document ? document->root().if_object() : nullptr;
    const auto member = [object](std::string_view key) {
        const json::value* const value = object == nullptr ? nullptr : object->if_contains(key);
        const json::string* const string = value == nullptr ? nullptr : value->if_string();
        return string == nullptr ? std::string{} : std::string(string->data(), string->size());
    };
    return Note{member("root"), member("address")};
}

}  // namespace

std::vector<std::string> living_neighbours(const Settings& settings) {
    const std::string folder = notes_folder();
    const std::string address = address_of(settings);
    const auto names = folder.empty() || address.empty() ? Result<std::vector<std::string>>{Error{}}
                                                         : list_directory(folder);
    std::vector<std::string> living;
    for (const std::string& name : names ? *names : std::vector<std::string>{}) {
        const auto note = read_note(folder + "/" + name);
        if (!note || note->root.empty() || note->address != address ||
            is_same_folder(common_git_folder(note->root), common_git_folder(settings.paths.root))) {
            continue;
        }
        if (living_supervisor(Paths{note->root}) ||
            living_supervisor(Paths{note->root, std::string(cueloop_folder)})) {
            living.push_back(note->root);
        }
    }
    return living;
}

void tell_neighbours(const Settings& settings) {
    const std::string folder = notes_folder();
    if (folder.empty()) {
        return;
    }
    json::object note;
    note["root"] = settings.paths.root;
    note["address"] = address_of(settings);
    // One file per working tree: its path, with the characters that no name may have.
    std::string name;
    for (const char c : settings.paths.root) {
        name += c == '/' ? "%2F" : c == '%' ? "%25" : std::string{c};
    }
    if (name.size() < 240 && make_directories(folder)) {
        static_cast<void>(write_file_durably(folder + "/" + name, core::canonical_json(note) + "\n"));
    }
}

}  // namespace ralph::daemon
