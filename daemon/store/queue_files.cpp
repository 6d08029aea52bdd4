#include "daemon/store/queue_files.h"

#include <fmt/format.h>

#include <utility>

#include "core/queue/queue_validation.h"
#include "core/queue/task_codec.h"
#include "daemon/os/files.h"

namespace ralph::daemon {
namespace {

using core::Error;

constexpr std::size_t queue_limit = 64ULL << 20;

Error missing_queue(const std::string& path) {
    return Error{fmt::format("{}: there is no such file", path), "make one with `ralph init`"};
}

// The number of the line where git's first mark of an unfinished merge stands; 0: there is none.
std::size_t conflict_marker(std::string_view text) {
    std::size_t number = 0;
    while (!text.empty()) {
        ++number;
        const std::size_t end = text.find('\n');
        if (text.substr(0, 8) == "<<<<<<< ") {
            return number;
        }
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    }
    return 0;
}

Result<core::TaskFile> parse_task_file(std::string text, const std::string& path) {
    if (const std::size_t line = conflict_marker(text); line != 0) {
        return Error{fmt::format("{}:{}: git's conflict markers are in the file", path, line),
                     "keep what belongs there, take the markers out, then end the merge with `git add` and "
                     "`git rebase --continue` or `git commit`"};
    }
    auto document = core::JsonDocument::parse(std::move(text), path);
    return document ? core::read_task_file(*document) : Result<core::TaskFile>{document.error()};
}

}  // namespace

Result<core::TaskFile> load_task_file(const std::string& path, bool missing_is_empty) {
    TRY_ASSIGN(auto text, read_file(path, queue_limit));
    if (!text) {
        return missing_is_empty ? Result<core::TaskFile>{core::TaskFile{}}
                                : Result<core::TaskFile>{missing_queue(path)};
    }
    return parse_task_file(std::move(*text), path);
}

Result<QueueTexts> read_queue(const Settings& settings) {
    TRY_ASSIGN(auto queue, read_file(settings.queue_file, queue_limit));
    if (!queue) {
        return missing_queue(settings.queue_file);
    }
    TRY_ASSIGN(auto done, read_file(settings.done_file, queue_limit));
    return QueueTexts{std::move(*queue), std::move(done)};
}

Result<LoadedQueue> parse_queue(const Settings& settings, QueueTexts texts) {
    TRY_ASSIGN(auto queue, parse_task_file(std::move(texts.queue), settings.queue_file));
    TRY_ASSIGN(auto done, texts.done ? parse_task_file(std::move(*texts.done), settings.done_file)
                                     : Result<core::TaskFile>{core::TaskFile{}});
    TRY_ASSIGN(auto warnings, core::validate_queue(queue, done, settings.queue_rules()));
    return LoadedQueue{core::QueueSnapshot{std::move(queue), std::move(done)}, std::move(warnings)};
}

Result<LoadedQueue> load_queue(const Settings& settings) {
    auto texts = read_queue(settings);
    return texts ? parse_queue(settings, std::move(*texts)) : Result<LoadedQueue>{texts.error()};
}

}  // namespace ralph::daemon
