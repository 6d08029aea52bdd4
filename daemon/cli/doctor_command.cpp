// doctor: what is wrong here, what it means, what to do.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "core/base/canonical_json.h"
#include "core/base/shown_text.h"
#include "daemon/cli/common.h"
#include "daemon/doctor/diagnosis.h"
#include "daemon/os/clock.h"
#include "daemon/store/ralph_folder.h"

namespace ralph::daemon {
namespace {

namespace json = boost::json;

constexpr std::size_t longest_line = 2'000;
constexpr int exit_something_wrong = 4;

// What --fix did about one finding.
struct Fixed {
    std::string title;
    std::string place;
    bool done = false;
    std::string text;  // what was done, or why not
};

std::string paragraph(const Finding& finding) {
    std::string text = core::shortened(finding.title, longest_line) + "\n";
    const auto line = [&text](std::string_view name, const std::string& value) {
        if (!value.empty()) {
            text += fmt::format("  {:<8}{}\n", name, core::shortened(value, longest_line));
        }
    };
    line("where", finding.place);
    line("means", finding.meaning);
    line("do", finding.advice);
    line("--fix", finding.fix ? finding.remedy : std::string("does nothing about it"));
    return text + "\n";
}

bool is_wrong(const Finding& finding) {
    return finding.severity == Severity::wrong;
}

std::string report_text(const std::vector<Finding>& findings, const std::vector<Fixed>& fixed) {
    std::string text;
    for (const Fixed& each : fixed) {
        text += core::printable(fmt::format("{}: {} ({})", each.done ? "fixed" : "could not be fixed",
                                            each.title, each.place)) +
                "\n  " + core::printable(each.text) + "\n\n";
    }
    for (const Finding& finding : findings) {
        text += paragraph(finding);
    }
    const auto wrong = std::count_if(findings.begin(), findings.end(), is_wrong);
    if (wrong == 0) {
        return text + "Nothing is wrong.\n";
    }
    return text + fmt::format("{} {} wrong.\n", wrong, wrong == 1 ? "thing is" : "things are");
}

std::string report_document(const std::vector<Finding>& findings, const std::vector<Fixed>& fixed) {
    json::array all;
    for (const Finding& finding : findings) {
        json::object object;
        object["kind"] = finding.kind;
        object["severity"] = to_string(finding.severity);
        object["title"] = finding.title;
        object["place"] = finding.place;
        object["meaning"] = finding.meaning;
        object["advice"] = finding.advice;
        object["fixable"] = finding.fix != nullptr;
        if (finding.fix) {
            object["fix"] = finding.remedy;
        }
        all.push_back(std::move(object));
    }
    json::array done;
    for (const Fixed& each : fixed) {
        json::object object;
        object["title"] = each.title;
        object["place"] = each.place;
        object["done"] = each.done;
        object["text"] = each.text;
        done.push_back(std::move(object));
    }
    json::object document;
    document["version"] = 1;
    document["findings"] = std::move(all);
    document["mended"] = std::move(done);
    return core::canonical_json(document) + "\n";
}

Result<std::vector<Fixed>> fix_all(const std::string& root) {
    TRY_ASSIGN(const auto paths, paths_of(root));
    const auto refusal = [](const std::string& who) {
        return Error{fmt::format("nothing is fixed while {}", who),
                     "ask it to finish with `ralph queue stop`, then run `ralph doctor --fix`"};
    };
    TRY(check_ralph_folder(paths));
    TRY(make_directories(paths.parallel()));
    // Not shown as a supervisor's: one that starts meanwhile waits for a moment.
    TRY_ASSIGN(const auto lock, FileLock::acquire(paths.supervisor_lock(), FileLock::Wait::no));
    Diagnosis diagnosis = diagnose(root, wall_clock());
    if (!lock) {
        return diagnosis.supervisor
                   ? refusal(fmt::format("the supervisor {} runs (since {})", diagnosis.supervisor->pid,
                                         diagnosis.supervisor->started_at))
                   : refusal("another command changes the state");
    }
    // A state is made anew from the runs, so these come first.
    std::stable_partition(diagnosis.findings.begin(), diagnosis.findings.end(),
                          [](const Finding& finding) { return finding.kind == "run_unreadable"; });
    std::vector<Fixed> all;
    for (const Finding& finding : diagnosis.findings) {
        if (finding.fix) {
            const auto done = finding.fix();
            all.push_back(
                {finding.title, finding.place, done.has_value(), done ? *done : done.error().line()});
        }
    }
    return all;
}

}  // namespace

int run_doctor(const CommonArguments& common, bool fix, bool as_json) {
    const auto root = find_repository(common.repository);
    if (!root) {
        return report_error(root.error());
    }
    std::vector<Fixed> fixed;
    if (fix) {
        auto done = fix_all(*root);
        if (!done) {
            return report_error(done.error());
        }
        fixed = std::move(*done);
    }
    const Diagnosis diagnosis = diagnose(*root, wall_clock());
    const std::vector<Finding>& findings = diagnosis.findings;
    const int told = print(as_json ? report_document(findings, fixed) : report_text(findings, fixed));
    if (told != 0) {
        return told;
    }
    return std::any_of(findings.begin(), findings.end(), is_wrong) ? exit_something_wrong : 0;
}

}  // namespace ralph::daemon
