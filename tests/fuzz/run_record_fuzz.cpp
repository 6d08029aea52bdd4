// The documents of a run directory, and the worker's block marker: each is read as every kind of record.
#include "core/supervisor/run_record.h"
#include "tests/fuzz/fuzz.h"

using namespace ralph;

namespace {

constexpr const char* file = "record.json";

void check_exit(const std::string& text) {
    const auto exit = fuzz::read(text, file, core::read_exit_record);
    if (exit) {
        CHECK(exit->value <= (exit->kind == core::ExitRecord::Kind::exited ? 255U : 64U));
        CHECK(!core::describe(*exit).empty());
    }
}

void check_name(const std::string& text) {
    if (const auto name = core::parse_run_directory_name(text)) {
        CHECK(core::run_directory_name(core::Run{name->step, name->number, 1}) == text);
    }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text = fuzz::text_of(data, size);
    fuzz::round_trip(text, file, core::read_run_spec, core::run_spec_text);
    fuzz::round_trip(text, file, core::read_outcome, core::outcome_text);
    fuzz::round_trip(text, file, core::read_block_marker, core::block_marker_text);
    if (const auto record = fuzz::read(text, file, core::read_process_record)) {
        CHECK(record->identity.pid > 0);
    }
    check_exit(text);
    check_name(text);
    return 0;
}
