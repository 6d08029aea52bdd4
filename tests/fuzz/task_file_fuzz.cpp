// queue.jsonc and done.jsonc, both in one input: read, validated, written, read again; and a task that is
// finished leaves a valid queue valid.
#include "core/queue/queue_edit.h"
#include "core/queue/queue_validation.h"
#include "core/queue/selection.h"
#include "core/queue/task_codec.h"
#include "tests/fuzz/fuzz.h"

using namespace ralph;

namespace {

bool is_valid(const core::TaskFile& queue, const core::TaskFile& done) {
    const auto warnings = core::validate_queue(queue, done, core::QueueRules{});
    if (!warnings) {
        fuzz::check_error(warnings.error(), "");
    }
    return warnings.has_value();
}

void edit(core::TaskFile queue, core::TaskFile done) {
    const core::Instant now{std::chrono::seconds{1'800'000'000}};
    if (const auto id = core::next_task_id(queue, done, core::QueueRules{})) {
        CHECK(queue.find(*id) == nullptr || queue.find(*id)->status == core::TaskStatus::rejected);
        queue.tasks.push_back(core::make_task(*id, "title", now));
        CHECK(is_valid(queue, done));
    }
    for (std::size_t i = 0; i < queue.tasks.size(); ++i) {
        const std::string id(core::trimmed(queue.tasks[i].id));
        core::TaskFile shorter = queue;
        core::TaskFile longer = done;
        if (core::archive_finished_task(shorter, longer, id, now)) {
            CHECK(is_valid(shorter, longer));
        }
    }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto [first, second] = fuzz::two_texts(data, size);
    const auto queue =
        fuzz::round_trip(std::move(first), "queue.jsonc", core::read_task_file, core::task_file_text);
    const auto done = second ? fuzz::round_trip(std::move(*second), "done.jsonc", core::read_task_file,
                                                core::task_file_text)
                             : core::TaskFile{};
    if (queue && done && is_valid(*queue, *done)) {
        edit(*queue, *done);
    }
    return 0;
}
