#include "daemon/steps/agent_program.h"

#include <fmt/format.h>

#include <cstdio>
#include <utility>

#include "daemon/os/files.h"
#include "daemon/os/program.h"

namespace ralph::daemon {
namespace {

void print(const std::string& text) {
    static_cast<void>(std::fwrite(text.data(), 1, text.size(), stdout));
    static_cast<void>(std::fflush(stdout));
}

// Nothing depends on it: a disk that refuses costs the copy and no more.
class RawFile {
  public:
    RawFile(std::string path, long long limit_bytes) : path_(std::move(path)), limit_(limit_bytes) {}

    void append(std::string_view bytes) {
        if (limit_ > 0 && static_cast<long long>(file_size(path_)) > limit_) {
            static_cast<void>(move(path_, path_ + ".1").has_value());
        }
        if (const auto appended = append_file(path_, bytes); !appended && !std::exchange(told_, true)) {
            print(fmt::format("ralph: {}\n", appended.error().line()));
        }
    }

  private:
    std::string path_;
    long long limit_;
    bool told_ = false;
};

}  // namespace

core::Result<AgentProgramEnd> run_agent_program(const AgentProgram& program) {
    core::AgentOutput output(program.preset);
    RawFile raw(program.raw_file, program.raw_limit_bytes);
    bool is_spent = false;
    ProgramRequest request;
    request.program = program.command.front();
    request.arguments.assign(program.command.begin() + 1, program.command.end());
    request.directory = program.directory;
    request.environment = our_environment();
    request.input = program.input;
    request.grace = program.grace;
    request.silence = program.silence;
    request.whole_tree = true;
    request.stop = program.stop;
    request.on_output = [&](std::string_view bytes) {
        raw.append(bytes);
        print(output.read(bytes));
        is_spent = program.on_facts(output.facts()) || is_spent;
    };
    request.on_errors = [&](std::string_view bytes) {
        print(output.read_errors(bytes));
        is_spent = program.on_facts(output.facts()) || is_spent;
    };
    request.on_silence = [&](core::Milliseconds silent) {
        print(fmt::format("ralph: {} has written nothing for {} s; it will be ended after {} s\n",
                          program.preset.name, silent.count() / 1000, program.silence->count() / 1000));
    };
    // An agent that has finished is not ended for what that has cost.
    const auto is_done = [&] { return output.facts().ended && !output.facts().failed; };
    request.is_enough = [&] { return (is_spent && !is_done()) || output.facts().stops; };
    TRY_ASSIGN(const auto ended, run_program(request));
    print(output.finish());
    is_spent = program.on_facts(output.facts()) || is_spent;
    AgentProgramEnd end;
    end.facts = output.facts();
    end.end.status = ended.status;
    end.end.signal = ended.signal;
    end.end.stopped = ended.stopped;
    end.end.silent = ended.silent;
    end.end.budget_spent = ended.enough && !end.facts.stops;
    return end;
}

}  // namespace ralph::daemon
