// config.jsonc of the repository and of the user, trusted and untrusted.
#include "config/project_config.h"
#include "config/trust.h"
#include "tests/fuzz/layers.h"

using namespace ralph;

namespace {

core::Result<config::ProjectConfig> load_as_ralphs(const std::optional<config::Layer>& global,
                                                   const std::optional<config::Layer>& project,
                                                   bool trusted) {
    return config::load_project_config(global, project, trusted);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto config = fuzz::load_layers(data, size, load_as_ralphs);
    if (config) {
        CHECK(!config->queue.id_prefix.empty());
        CHECK(config->queue.id_width >= 1 && config->queue.id_width <= 255);
        CHECK(!config->parallel.workers ||
              (*config->parallel.workers >= 2 && *config->parallel.workers <= 255));
        CHECK(!config->ci_gate.enabled || !config->ci_gate.argv.empty());
    }
    const auto trust = config::read_trust({"trust.jsonc", fuzz::text_of(data, size)});
    if (!trust) {
        fuzz::check_error(trust.error(), "trust.jsonc");
    }
    return 0;
}
