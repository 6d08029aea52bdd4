#include "tests/sim/model.h"

#include <algorithm>

#include "core/base/check.h"

namespace ralph::sim {

const FakeRun* FakeTask::last_executed() const {
    const auto found = std::find_if(runs.rbegin(), runs.rend(), [](const FakeRun& run) {
        return run.executed() && run.run.step != core::StepKind::discard;
    });
    return found == runs.rend() ? nullptr : &*found;
}

const FakeRun* FakeTask::live() const {
    const auto found = std::find_if(runs.begin(), runs.end(), [](const FakeRun& run) { return run.alive(); });
    return found == runs.end() ? nullptr : &*found;
}

FakeTask& Model::task(std::string_view id) {
    const auto found =
        std::find_if(tasks_.begin(), tasks_.end(), [id](const FakeTask& each) { return each.id == id; });
    CHECK(found != tasks_.end());
    return *found;
}

const FakeTask& Model::task(std::string_view id) const {
    return const_cast<Model*>(this)->task(id);
}

}  // namespace ralph::sim
