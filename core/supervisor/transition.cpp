#include "core/supervisor/transition.h"

#include <algorithm>

#include "core/base/check.h"

namespace ralph::core {
namespace {

constexpr std::array<std::pair<char, Lifecycle>, 5> letters{{{'r', Lifecycle::running},
                                                             {'i', Lifecycle::integrating},
                                                             {'c', Lifecycle::completed},
                                                             {'f', Lifecycle::failed},
                                                             {'b', Lifecycle::blocked_push}}};

constexpr bool is_sound() {
    for (std::size_t i = 0; i < transitions.size(); ++i) {
        if (transitions[i].event != static_cast<TaskEvent>(i) ||
            transitions[i].after.size() != letters.size() ||
            transitions[i].after.find_first_not_of("ricfb.") != std::string_view::npos) {
            return false;
        }
    }
    return transitions.back().event == TaskEvent::retry_requested;
}
static_assert(is_sound(), "each event has its row, and a row says what follows upon each lifecycle");

}  // namespace

std::optional<Lifecycle> transition(Lifecycle lifecycle, TaskEvent event) {
    const auto* const before = std::find_if(
        letters.begin(), letters.end(), [lifecycle](const auto& each) { return each.second == lifecycle; });
    const char after = transition_of(event).after.at(static_cast<std::size_t>(before - letters.begin()));
    const auto* const found = std::find_if(letters.begin(), letters.end(),
                                           [after](const auto& each) { return each.first == after; });
    return found == letters.end() ? std::nullopt : std::optional(found->second);
}

TaskEvent classify(StepKind step, const ExitRecord& record, const Standing& standing) {
    // A worker that answers our SIGTERM with exit 0 has not finished its work; an integration that says 0 has
    // landed it, whatever we asked of it meanwhile.
    if (record.stopped && !(step == StepKind::integrate && record.exited_with(0))) {
        return TaskEvent::interrupted;
    }
    // What an integration says counts however long it took.
    const bool says_nothing = record.timed_out && step != StepKind::integrate;
    const auto* const meaning =
        std::find_if(exit_meanings.begin(), exit_meanings.end(), [&](const ExitMeaning& each) {
            return each.step == step && (!each.code || (!says_nothing && record.exited_with(*each.code)));
        });
    CHECK(meaning != exit_meanings.end());  // discarding a workspace moves no lifecycle
    return meaning->condition == nullptr || standing.*meaning->condition ? meaning->event
                                                                         : meaning->otherwise;
}

}  // namespace ralph::core
