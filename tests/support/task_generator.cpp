#include "tests/support/task_generator.h"
#include "tests/support/text.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

namespace ralph::tests {

namespace fs = std::filesystem;
using core::Lifecycle;

Lines lines_of(const std::string& text) {
    Lines lines;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        lines.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return lines;
}

TaskGenerator::TaskGenerator() {
    set_gate("if ls bad-* 2>/dev/null; then exit 1; fi");
    fs::permissions(gate_, fs::perms::owner_all);
    Project::write(project.root() + "/.ralph/config.jsonc",
                   "{\"version\": 2, \"agent\": {\"ci_gate\": {\"enabled\": true, \"argv\": [\"" + gate_ +
                       "\"]}}, \"parallel\": {\"push_backoff_ms\": [10]}}\n");
    fs::create_directories(arrived_);
}

void TaskGenerator::set_gate(const std::string& script) const {
    Project::write(gate_,
                   "#!/bin/sh\necho \"$RALPH_CANDIDATE_SHA ${RALPH_BATCH:-tip} $(git ls-tree -r HEAD | "
                   "grep -v '[.]ralph/' | git hash-object --stdin)\" >> '" +
                       judged_ + "'\n" + script + "\n");
}

int TaskGenerator::run(int workers) const {
    const auto end = project.ralph({"run", "--parallel", std::to_string(workers)});
    INFO(end.errors);
    CHECK(fs::exists(judged_));
    return end.status;
}

Lines TaskGenerator::judged() const {
    return lines_of(Project::read(judged_));
}

void TaskGenerator::check_history() const {
    const Lines subjects = project.remote_subjects();
    const core::ParallelState state = project.state();
    for (const core::WorkerRecord& record : state.workers) {
        const std::string archived = fmt::format("ralph: archive {} queue bookkeeping", record.task_id);
        CHECK(std::count(subjects.begin(), subjects.end(), archived) ==
              (record.lifecycle == Lifecycle::completed ? 1 : 0));
    }
    const Lines judged_lines = judged();
    INFO(Project::read(judged_));
    INFO(Project::read(pushed_));
    for (const std::string& pushed : lines_of(Project::read(pushed_))) {
        // It, or one with the same files.
        const std::string files = files_of(pushed);
        CHECK(std::any_of(judged_lines.begin(), judged_lines.end(), [&](const std::string& line) {
            return line.rfind(pushed, 0) == 0 || contains(line, files);
        }));
    }
}

std::string TaskGenerator::files_of(const std::string& commit) const {
    std::string kept;
    for (const std::string& line : lines_of(project.git(project.remote(), {"ls-tree", "-r", commit}))) {
        kept += contains(line, ".ralph/") ? "" : line + "\n";
    }
    Project::write(project.outside("listed"), kept);
    return lines_of(project.git(project.remote(), {"hash-object", project.outside("listed")})).at(0);
}

void TaskGenerator::watch_pushes() const {
    const std::string hook = project.remote() + "/hooks/post-receive";
    Project::write(hook,
                   "#!/bin/sh\nread old new ref\ngit merge-base --is-ancestor $old $new || echo forced >> '" +
                       pushed_ + "'\necho $new >> '" + pushed_ + "'\n");
    fs::permissions(hook, fs::perms::owner_all);
}

std::string commit_file(const std::string& name, int i) {
    return fmt::format("echo {} > {}; git add -A; git commit -qm 'work {}'", i, name, i);
}

}  // namespace ralph::tests
