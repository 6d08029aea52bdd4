// merge-queue: what git runs to merge a task file (the merge driver that `ralph init` registers).
#include "core/queue/queue_merge.h"
#include "core/queue/task_codec.h"
#include "daemon/cli/common.h"
#include "daemon/os/files.h"

namespace ralph::daemon {
namespace {

Result<core::TaskFile> read_side(const std::string& path) {
    TRY_ASSIGN(auto text, read_file(path));
    if (!text) {
        return Error{path + ": does not exist", "git runs this command with the files to merge"};
    }
    if (text->empty()) {  // git has no common ancestor
        return core::TaskFile{};
    }
    TRY_ASSIGN(const auto document, core::JsonDocument::parse(std::move(*text), path));
    return core::read_task_file(document);
}

Result<void> merge(const MergeArguments& arguments) {
    TRY_ASSIGN(const auto base, read_side(arguments.base));
    TRY_ASSIGN(const auto ours, read_side(arguments.ours));
    TRY_ASSIGN(const auto theirs, read_side(arguments.theirs));
    TRY_ASSIGN(const auto merged, core::merge_task_files(base, ours, theirs));
    return write_file_durably(arguments.ours, core::task_file_text(merged), 0644);
}

}  // namespace

int merge_queue(const MergeArguments& arguments) {
    const auto merged = merge(arguments);
    return merged ? 0 : report_error(merged.error());
}

}  // namespace ralph::daemon
