// A worker's proposal of follow-up tasks: what is accepted leaves a valid queue, what is not leaves it as it
// was.
#include "core/queue/followups.h"
#include "core/queue/queue_edit.h"
#include "core/queue/queue_validation.h"
#include "core/queue/task_codec.h"
#include "tests/fuzz/fuzz.h"

using namespace ralph;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const core::Instant now{std::chrono::seconds{1'800'000'000}};
    const core::QueueRules rules;
    core::TaskFile queue{1, {core::make_task("RQ-0002", "next", now)}};
    core::TaskFile done{1, {core::make_task("RQ-0001", "source", now)}};
    CHECK(core::set_status(done, "RQ-0001", core::TaskStatus::done, now).has_value());

    const auto document = fuzz::parse(fuzz::text_of(data, size), "followups.json");
    if (!document) {
        return 0;
    }
    const auto proposal = core::read_followups(*document, "RQ-0001");
    if (!proposal) {
        fuzz::check_error(proposal.error(), "followups.json");
        return 0;
    }
    const std::string before = core::task_file_text(queue);
    const auto ids = core::apply_followups(queue, done, done.tasks.front(), *proposal, rules, now);
    if (!ids) {
        fuzz::check_error(ids.error(), "");
        CHECK(core::task_file_text(queue) == before);
        return 0;
    }
    CHECK(ids->size() == proposal->tasks.size());
    CHECK(queue.tasks.size() == 1 + ids->size());
    CHECK(core::validate_queue(queue, done, rules).has_value());
    CHECK(fuzz::read(core::task_file_text(queue), "queue.jsonc", core::read_task_file).has_value());
    return 0;
}
