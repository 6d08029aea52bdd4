#include "daemon/cli/common.h"

#include <algorithm>
#include <cstdio>

namespace ralph::daemon {
namespace {

// Characters, not bytes.
std::size_t width_of(const std::string& text) {
    return static_cast<std::size_t>(std::count_if(
        text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

}  // namespace

core::Result<Settings> open_repository(const CommonArguments& common) {
    auto root = find_repository(common.repository);
    if (!root) {
        return root.error();
    }
    return load_settings(*root);
}

std::string text_table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], width_of(core::printable(row[i])));
        }
    }
    std::string text;
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string cell = core::printable(row[i]);
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

void print(const std::string& text) {
    static_cast<void>(std::fwrite(text.data(), 1, text.size(), stdout));
    static_cast<void>(std::fflush(stdout));
}

int report_error(const core::Error& error) {
    static_cast<void>(std::fprintf(stderr, "ralph: %s\n", error.line().c_str()));
    return 1;
}

}  // namespace ralph::daemon
