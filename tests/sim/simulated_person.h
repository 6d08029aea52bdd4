// Who steers the simulated supervisor: pauses, resumes, changes the number of workers, asks for a retry,
// cancels.
#pragma once

#include <functional>
#include <string>

#include "core/supervisor/steering.h"
#include "daemon/store/paths.h"
#include "tests/fake_world/fake_world.h"
#include "tests/sim/model.h"
#include "tests/sim/random.h"

namespace ralph::sim {

class SimulatedPerson {
  public:
    using Record = std::function<void(const std::string&)>;

    SimulatedPerson(fake::World& world, Model& model, const daemon::Paths& paths, std::uint64_t seed,
                    Record record)
        : world_(world),
          model_(model),
          paths_(paths),
          random_(seed ^ 0x2545f491ULL),
          record_(std::move(record)) {
        steers_ = random_.chance(40);
    }

    // May do something.
    void turn();
    // Takes back what was asked for, and asks for nothing more.
    void settle_down();
    // Ends the pause, if there is one.
    bool resume();
    void request_retry(FakeTask& task);
    // Which requests there are on the disk. `keep`: those that were known stay known.
    void look(bool keep);
    [[nodiscard]] std::uint32_t most_workers() const { return most_workers_; }

  private:
    void steer();
    void ask(const core::Steering& wanted);
    void request(const std::string& folder, const std::string& task_id);
    [[nodiscard]] bool has_request(const std::string& folder, const std::string& task_id) const;
    void put(const std::string& path, const std::string& content);

    fake::World& world_;
    Model& model_;
    const daemon::Paths& paths_;
    Random random_;
    Record record_;
    bool steers_ = false;
    core::Steering steering_;
    std::uint32_t requests_ = 0;
    std::uint32_t most_workers_ = 0;
};

}  // namespace ralph::sim
