#include "core/agents/reset_time.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <string>
#include <utility>

namespace ralph::core {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::nanoseconds;
using std::chrono::seconds;

// A time of day that is past by less is no time of tomorrow: the limit ends now, or its clock is another one.
constexpr minutes just_over{30};
constexpr nanoseconds farthest = days{31};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// A position in lower-case text.
class Words {
  public:
    explicit Words(std::string_view text) : text_(text) {}

    // Goes behind the first place where it stands.
    [[nodiscard]] bool find(std::string_view word) {
        const std::size_t at = text_.find(word);
        if (at == std::string_view::npos) {
            return false;
        }
        text_.remove_prefix(at + word.size());
        return true;
    }
    bool skip(std::string_view word) {
        const bool here = text_.substr(0, word.size()) == word;
        text_.remove_prefix(here ? word.size() : 0);
        return here;
    }
    void skip_blanks() {
        while (skip(" ") || skip(",")) {
        }
    }
    // Digits, with a fraction.
    [[nodiscard]] std::optional<double> number() {
        double value = 0;
        if (text_.empty() || !is_digit(text_[0])) {
            return std::nullopt;
        }
        const char* const begin = text_.data();
        const auto [end, fault] = std::from_chars(begin, begin + std::min<std::size_t>(text_.size(), 20),
                                                  value, std::chars_format::fixed);
        text_.remove_prefix(static_cast<std::size_t>(end - begin));
        return fault == std::errc{} ? std::optional(value) : std::nullopt;
    }
    [[nodiscard]] std::optional<int> whole(std::size_t most_digits) {
        std::size_t length = 0;
        int value = 0;
        while (length < text_.size() && length < most_digits && is_digit(text_[length])) {
            value = 10 * value + (text_[length++] - '0');
        }
        text_.remove_prefix(length);
        return length == 0 ? std::nullopt : std::optional(value);
    }
    [[nodiscard]] std::string_view rest() const { return text_; }

  private:
    std::string_view text_;
};

// "2 hours 5 minutes", "1h2m3s", "1.5s", "31 sec"
std::optional<nanoseconds> duration_at(Words words) {
    static constexpr std::array<std::pair<std::string_view, double>, 15> units{{{"milliseconds", 0.001},
                                                                                {"ms", 0.001},
                                                                                {"seconds", 1},
                                                                                {"second", 1},
                                                                                {"secs", 1},
                                                                                {"sec", 1},
                                                                                {"minutes", 60},
                                                                                {"minute", 60},
                                                                                {"mins", 60},
                                                                                {"min", 60},
                                                                                {"hours", 3600},
                                                                                {"hour", 3600},
                                                                                {"hrs", 3600},
                                                                                {"days", 86400},
                                                                                {"day", 86400}}};
    static constexpr std::array<std::pair<std::string_view, double>, 4> letters{
        {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}}};
    double sum = 0;
    bool any = false;
    const auto factor = [&words](const auto& table) {
        const auto found = std::find_if(table.begin(), table.end(),
                                        [&words](const auto& unit) { return words.skip(unit.first); });
        return found == table.end() ? 0.0 : found->second;
    };
    while (true) {
        words.skip_blanks();
        words.skip("and ");
        const auto number = words.number();
        if (!number) {
            break;
        }
        words.skip_blanks();
        double unit = factor(units);
        unit = unit == 0 ? factor(letters) : unit;
        if (unit == 0) {
            break;
        }
        sum += *number * unit;
        any = true;
    }
    if (!any || sum > std::chrono::duration<double>(farthest).count()) {
        return std::nullopt;
    }
    return std::chrono::duration_cast<nanoseconds>(std::chrono::duration<double>(sum));
}

// "1:44 pm", "3pm", "15:00": since midnight. Minutes are told without their seconds, so that the moment is
// the end of that minute.
std::optional<minutes> time_of_day_at(Words words) {
    words.skip_blanks();
    const auto hour = words.whole(2);
    if (!hour) {
        return std::nullopt;
    }
    int minute = 0;
    const bool has_minutes = words.skip(":");
    if (has_minutes) {
        const auto read = words.whole(2);
        if (!read) {
            return std::nullopt;
        }
        minute = *read;
    }
    words.skip_blanks();
    const bool afternoon = words.skip("pm") || words.skip("p.m");
    const bool morning = !afternoon && (words.skip("am") || words.skip("a.m"));
    if ((!has_minutes && !afternoon && !morning) || *hour > 23 || minute > 59 ||
        ((afternoon || morning) && (*hour < 1 || *hour > 12))) {
        return std::nullopt;
    }
    const int of_day = afternoon || morning ? *hour % 12 + (afternoon ? 12 : 0) : *hour;
    return hours{of_day} + minutes{minute + (has_minutes ? 1 : 0)};
}

// "nov 30th, 2026 " before a time of day, if it is there.
// `is_wrong`: there is one, and it cannot be.
std::optional<std::chrono::year_month_day> date_at(Words& words, Instant local_now, bool& is_wrong) {
    static constexpr std::array<std::string_view, 12> months{"jan", "feb", "mar", "apr", "may", "jun",
                                                             "jul", "aug", "sep", "oct", "nov", "dec"};
    Words ahead = words;
    ahead.skip_blanks();
    for (unsigned month = 0; month < months.size(); ++month) {
        if (!ahead.skip(months.at(month))) {
            continue;
        }
        while (!ahead.rest().empty() && ahead.rest()[0] >= 'a' && ahead.rest()[0] <= 'z') {
            ahead.skip(ahead.rest().substr(0, 1));
        }
        ahead.skip_blanks();
        const auto day = ahead.whole(2);
        if (!day) {
            is_wrong = true;
            return std::nullopt;
        }
        static_cast<void>(ahead.skip("st") || ahead.skip("nd") || ahead.skip("rd") || ahead.skip("th"));
        ahead.skip_blanks();
        Words behind = ahead;
        const auto year = behind.whole(4);
        const std::chrono::year_month_day today{std::chrono::floor<days>(local_now)};
        const bool tells_year = year && *year > 2000;
        std::chrono::year_month_day date{tells_year ? std::chrono::year{*year} : today.year(),
                                         std::chrono::month{month + 1},
                                         std::chrono::day{static_cast<unsigned>(*day)}};
        if (!tells_year && date < today) {
            date += std::chrono::years{1};
        }
        words = tells_year ? behind : ahead;
        words.skip_blanks();
        words.skip("at ");
        is_wrong = !date.ok() || date.year() > today.year() + std::chrono::years{1};
        return is_wrong ? std::nullopt : std::optional(date);
    }
    return std::nullopt;
}

std::optional<Instant> moment_at(Words words, Instant now, int utc_offset_minutes) {
    const nanoseconds offset = minutes{utc_offset_minutes};
    bool is_wrong = false;
    const auto date = date_at(words, now + offset, is_wrong);
    if (is_wrong) {
        return std::nullopt;
    }
    const auto of_day = time_of_day_at(words);
    if (!of_day) {
        return std::nullopt;
    }
    const bool is_utc = words.rest().find("utc") < 20;
    const Instant local = now + (is_utc ? nanoseconds{0} : offset);
    const auto day = date ? std::chrono::sys_days{*date} : std::chrono::floor<days>(local);
    Instant moment = Instant{day} + *of_day;
    if (!date && local - moment >= just_over) {
        moment += days{1};
    }
    return moment - (local - now);
}

std::optional<Instant> usable(std::optional<Instant> moment, Instant now) {
    return moment && *moment > now && *moment - now <= farthest ? moment : std::nullopt;
}

// Ten digits that stand alone: seconds since 1970.
std::optional<Instant> epoch_in(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (!is_digit(text[i])) {
            continue;
        }
        std::size_t end = i;
        while (end < text.size() && is_digit(text[end])) {
            ++end;
        }
        if (end - i == 10) {
            std::int64_t value = 0;
            static_cast<void>(std::from_chars(text.data() + i, text.data() + end, value));
            return Instant{seconds{value}};
        }
        i = end;
    }
    return std::nullopt;
}

}  // namespace

std::optional<Instant> reset_time(std::string_view given, Instant now, int utc_offset_minutes) {
    std::string text(given.substr(0, 4'000));
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    for (const std::string_view word : {"again in ", "reset after ", "resets in ", "reset in ",
                                        "retry after ", "retry in ", "retrydelay\":\"", "retrydelay: "}) {
        if (Words words(text); words.find(word)) {
            if (const auto pause = duration_at(words)) {
                return usable(now + *pause, now);
            }
        }
    }
    for (const std::string_view word :
         {"again at ", "resets at ", "reset at ", "resets on ", "resets ", "again on ", "available at "}) {
        if (Words words(text); words.find(word)) {
            if (const auto moment = usable(moment_at(words, now, utc_offset_minutes), now)) {
                return moment;
            }
        }
    }
    return usable(epoch_in(text), now);
}

std::optional<Instant> reset_at(std::uint64_t told, Instant now) {
    constexpr std::uint64_t latest = 9'000'000'000;  // what nanoseconds of 64 bits can hold
    return told > latest ? std::nullopt : usable(Instant{seconds{static_cast<std::int64_t>(told)}}, now);
}

}  // namespace ralph::core
