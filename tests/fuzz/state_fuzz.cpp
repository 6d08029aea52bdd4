// state.json: what was read, written and read again is equal.
#include "core/supervisor/state_codec.h"
#include "tests/fuzz/fuzz.h"

using namespace ralph;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto state =
        fuzz::round_trip(fuzz::text_of(data, size), "state.json", core::read_state, core::state_text);
    if (state) {
        CHECK(state->schema_version >= core::state_schema_version);
    }
    return 0;
}
