// supervisor.jsonc of the repository and of the user, trusted and untrusted; its commands can be filled in.
#include "config/supervisor_config.h"
#include "tests/fuzz/layers.h"

using namespace ralph;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto config = fuzz::load_layers(data, size, config::load_supervisor_config);
    if (!config) {
        return 0;
    }
    const config::PlaceholderValues values{"RQ-0001", "{task_id} }{", "/workspace", "main", "1"};
    for (const auto* const command :
         {&config->worker.command, &config->prepare.command, &config->integrate.command}) {
        CHECK(config::expand_command(*command, values).size() == command->size());
    }
    for (const auto& [name, value] : config->worker.env) {
        CHECK(name.rfind("RALPH_", 0) != 0 && !name.empty() && name.find('=') == std::string::npos);
    }
    CHECK(!config->worker.timeout || config->worker.timeout->count() > 0);
    CHECK(config->prepare.timeout.count() > 0 && config->integrate.timeout.count() > 0);
    return 0;
}
