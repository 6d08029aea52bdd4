#include "daemon/cli/common.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/base/shown_text.h"
#include "daemon/git/tracked_files.h"
#include "daemon/git/trust.h"
#include "daemon/os/files.h"
#include "daemon/store/queue_files.h"

namespace ralph::daemon {
namespace {

// Characters, not bytes.
std::size_t width_of(const std::string& text) {
    return static_cast<std::size_t>(std::count_if(
        text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

}  // namespace

core::Result<Settings> open_repository(const CommonArguments& common) {
    TRY_ASSIGN(auto root, find_repository(common.repository));
    auto settings = load_settings(root);
    if (settings && !settings->trust_refusal.empty()) {
        say(fmt::format("{}; {}", settings->trust_refusal, trust_remedy));
    }
    return settings;
}

core::Result<LoadedQueue> open_queue(const CommonArguments& common) {
    TRY_ASSIGN(const auto settings, open_repository(common));
    return open_queue(settings);
}

core::Result<LoadedQueue> open_queue(const Settings& settings) {
    auto queue = load_queue(settings);
    if (!queue && !path_exists(settings.queue_file)) {
        if (auto absent = not_checked_out(settings.paths.root, {settings.queue_relative})) {
            return std::move(*absent);
        }
    }
    return queue;
}

std::string text_table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], width_of(core::shortened(row[i], widest_cell)));
        }
    }
    std::string text;
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string cell = core::shortened(row[i], widest_cell);
            line += cell;
            if (i + 1 < row.size()) {
                line.append(widths[i] - width_of(cell) + 2, ' ');
            }
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + "\n";
    }
    return text;
}

std::string rough_age(std::chrono::nanoseconds age) {
    const auto seconds =
        std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::seconds>(age).count());
    return seconds >= 86400  ? fmt::format("{}d", seconds / 86400)
           : seconds >= 3600 ? fmt::format("{}h", seconds / 3600)
           : seconds >= 60   ? fmt::format("{}m", seconds / 60)
                             : fmt::format("{}s", seconds);
}

int print(const std::string& text) {
    return print_unchanged(core::terminal_text(text));
}

void say(std::string_view what) {
    static_cast<void>(std::fprintf(stderr, "ralph: %s\n", core::printable(what).c_str()));
}

int print_unchanged(const std::string& text) {
    const bool written =
        std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
    const int reason = errno;
    if (written || reason == EPIPE) {
        return 0;
    }
    return report_error(
        core::Error{fmt::format("standard output: write failed: {}", ::strerrordesc_np(reason)),
                    "what was asked for has been done, but not told; make room there and ask again"});
}

int report_error(const core::Error& error) {
    static_cast<void>(std::fprintf(stderr, "ralph: %s\n", error.line().c_str()));
    return 1;
}

}  // namespace ralph::daemon
