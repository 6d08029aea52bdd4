#include "config/layering.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "core/base/canonical_json.h"
#include "core/base/shown_text.h"
#include "core/queue/task.h"

namespace ralph::config {

namespace json = boost::json;
using core::Error;
using core::JsonDocument;
using core::Milliseconds;
using core::ObjectReader;

void TrustGate::claim(std::string path) {
    if (!open_ && !refused_) {
        refused_ = std::move(path);
    }
}

core::Result<std::vector<OpenLayer>> open_layers(const std::optional<Layer>& global,
                                                 const std::optional<Layer>& project, bool trusted,
                                                 core::DuplicateKeys duplicates) {
    std::vector<OpenLayer> layers;
    for (const auto* layer : {&global, &project}) {
        if (layer->has_value()) {
            auto document = JsonDocument::parse((*layer)->text, (*layer)->file, duplicates);
            if (document.has_error()) {
                return document.error();
            }
            layers.push_back({std::move(*document), trusted || layer == &global});
        }
    }
    return layers;
}

std::optional<Error> read_layer(const OpenLayer& layer, const ReadRoot& read) {
    std::optional<core::JsonFault> fault;
    TrustGate gate(layer.commands_allowed);
    ObjectReader root(layer.document.root(), "", fault);
    read(root, gate);
    root.finish();
    if (fault) {
        return layer.document.error_at(fault->path, fault->message);
    }
    if (gate.refused()) {
        Error error = layer.document.error_at(*gate.refused(), "may only be set in a trusted repository");
        error.remedy = "run `ralph init --trust` if you trust this repository's commands";
        return error;
    }
    return std::nullopt;
}

namespace {

// `path` is one of our own names, without indexes.
bool sets(const json::value& root, std::string_view path) {
    const json::value* value = &root;
    while (!path.empty()) {
        const std::size_t length = std::min(path.find('.'), path.size());
        const json::object* object = value->if_object();
        value = object == nullptr ? nullptr : object->if_contains(path.substr(0, length));
        if (value == nullptr || value->is_null()) {
            return false;
        }
        path.remove_prefix(std::min(length + 1, path.size()));
    }
    return true;
}

}  // namespace

Error error_in(const std::vector<OpenLayer>& layers, const core::JsonFault& fault) {
    for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
        if (sets(layer->document.root(), fault.path)) {
            return layer->document.error_at(fault.path, fault.message);
        }
    }
    return Error{fmt::format("key `{}` {}", fault.path, fault.message)};
}

bool is_set(ObjectReader& reader, std::string_view key) {
    const json::value* value = reader.find(key);
    return value != nullptr && !value->is_null();
}

bool claim_if_set(ObjectReader& reader, std::string_view key, TrustGate& gate) {
    const bool set = is_set(reader, key);
    if (set) {
        gate.claim(reader.path_of(key));
    }
    return set;
}

void read_flag(ObjectReader& reader, std::string_view key, bool& out) {
    if (is_set(reader, key)) {
        reader.read(key, out);
    }
}

namespace {

bool is_variable_name(std::string_view name) {
    const auto is_letter = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    };
    const auto fits = [is_letter](char c) { return is_letter(c) || (c >= '0' && c <= '9'); };
    return !name.empty() && is_letter(name[0]) && std::all_of(name.begin(), name.end(), fits);
}

}  // namespace

void read_environment(ObjectReader& worker, std::string_view key, std::map<std::string, std::string>& out) {
    worker.read_object(key, [&out](ObjectReader& env) {
        for (const std::string& name : env.keys()) {
            std::string value;
            env.read(name, value);
            if (!is_variable_name(name)) {
                env.fail(name, "must be a name of letters, digits and _ that starts with no digit");
            } else if (name.substr(0, 6) == "RALPH_") {
                env.fail(name, "must not start with RALPH_; the supervisor sets those variables itself");
            } else if (value.find('\0') != std::string::npos) {
                env.fail(name, "must not contain a NUL character");
            }
            out[name] = std::move(value);
        }
    });
}

void read_list(ObjectReader& reader, std::string_view key, std::vector<std::string>& out) {
    if (is_set(reader, key)) {
        reader.read(key, out);
    }
}

void read_name(ObjectReader& reader, std::string_view key, std::string& out) {
    if (!is_set(reader, key)) {
        return;
    }
    reader.read(key, out);
    if (core::trimmed(out).empty()) {
        reader.fail(key, "must not be empty");
    } else if (const auto found = core::first_steering(out)) {
        reader.fail(key, fmt::format("must not contain the character {}", *found));
    }
}

void read_duration(ObjectReader& reader, std::string_view key, Milliseconds low, Milliseconds high,
                   Milliseconds& out) {
    const json::value* value = reader.find(key);
    if (value == nullptr || value->is_null()) {
        return;
    }
    const std::string expected = "must be a duration such as \"90s\", \"15m\" or \"2h\" (ms, s, m, h, d)";
    const json::string* text = value->if_string();
    if (text == nullptr) {
        reader.fail(key, expected + ", in quotes");
        return;
    }
    const auto duration = core::parse_duration(*text);
    if (duration.has_error()) {
        reader.fail(key, fmt::format("{}, not \"{}\"", expected, std::string_view(*text)));
    } else if (*duration < low || *duration > high) {
        reader.fail(key, fmt::format("must be from \"{}\" to \"{}\", not \"{}\"", core::format_duration(low),
                                     core::format_duration(high), std::string_view(*text)));
    } else {
        out = *duration;
    }
}

namespace {

constexpr std::array<std::pair<std::string_view, unsigned>, 6> size_units{
    {{"PiB", 50}, {"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"B", 0}}};

std::optional<std::uint64_t> parse_size(std::string_view text) {
    if (text == "0") {
        return 0;
    }
    std::uint64_t number = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const std::string_view unit(rest, static_cast<std::size_t>(text.data() + text.size() - rest));
    for (const auto& [name, shift] : size_units) {
        if (error == std::errc{} && unit == name &&
            number <= (std::numeric_limits<std::uint64_t>::max() >> shift)) {
            return number << shift;
        }
    }
    return std::nullopt;
}

std::string size_text(std::uint64_t bytes) {
    for (const auto& [name, shift] : size_units) {
        if (bytes % (1ULL << shift) == 0) {
            return fmt::format("{}{}", bytes >> shift, name);
        }
    }
    return {};
}

}  // namespace

void read_size(ObjectReader& reader, std::string_view key, std::uint64_t low, std::uint64_t high,
               std::uint64_t& out) {
    const json::value* value = reader.find(key);
    if (value == nullptr || value->is_null()) {
        return;
    }
    const std::string expected =
        fmt::format("must be a size from \"{}\" to \"{}\" (B, KiB, MiB, GiB, TiB), or \"0\"", size_text(low),
                    size_text(high));
    const json::string* text = value->if_string();
    const auto size = text != nullptr ? parse_size(*text) : std::nullopt;
    if (!size || (*size != 0 && (*size < low || *size > high))) {
        reader.fail(key, fmt::format("{}, not {}", expected, core::canonical_json(*value)));
        return;
    }
    out = *size;
}

void read_hundredths(ObjectReader& reader, std::string_view key, std::uint32_t low, std::uint32_t high,
                     std::uint32_t& out) {
    const json::value* value = reader.find(key);
    if (value == nullptr || value->is_null()) {
        return;
    }
    double hundredths = -1;
    if (value->is_number()) {
        hundredths = 100 * value->to_number<double>();
    }
    if (hundredths != 0 && !(hundredths >= low && hundredths <= high)) {
        reader.fail(key, fmt::format("must be a number from {} to {}, or 0, not {}", low / 100.0,
                                     high / 100.0, core::canonical_json(*value)));
        return;
    }
    out = static_cast<std::uint32_t>(std::lround(hundredths));
}

std::optional<std::uint64_t> whole_number(ObjectReader& reader, std::string_view key, std::uint64_t low,
                                          std::uint64_t high) {
    const json::value* value = reader.find(key);
    if (value == nullptr || value->is_null()) {
        return std::nullopt;
    }
    std::optional<std::uint64_t> number;
    if (value->is_uint64()) {
        number = value->get_uint64();
    } else if (value->is_int64() && value->get_int64() >= 0) {
        number = static_cast<std::uint64_t>(value->get_int64());
    }
    if (!number || *number < low || *number > high) {
        const std::string expected =
            low == high ? fmt::format("{}", low) : fmt::format("a whole number from {} to {}", low, high);
        reader.fail(key, fmt::format("must be {}, not {}", expected, core::canonical_json(*value)));
        return std::nullopt;
    }
    return number;
}

void check_choice(ObjectReader& reader, std::string_view key, std::string_view text,
                  const std::vector<std::string>& choices) {
    if (std::find(choices.begin(), choices.end(), text) != choices.end()) {
        return;
    }
    const auto nearest = core::nearest_name(text, choices);
    reader.fail(key, fmt::format("must be one of {}, not \"{}\"{}", fmt::join(choices, ", "), text,
                                 nearest ? fmt::format("; did you mean \"{}\"?", *nearest) : ""));
}

std::string lower_case(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return out;
}

void read_word(ObjectReader& section, std::string_view key, std::string& out) {
    if (!is_set(section, key)) {
        return;
    }
    section.read(key, out);
    if (const auto found = core::first_steering(out)) {
        section.fail(key, fmt::format("must not contain the character {}", *found));
    } else if (!out.empty() && out.front() == '-') {
        section.fail(key, "must not begin with a dash");
    }
}

void read_either(ObjectReader& section, std::string_view key, const char* no, const char* yes, bool& out) {
    if (is_set(section, key)) {
        std::string word;
        section.read(key, word);
        check_choice(section, key, word, {no, yes});
        out = word == yes;
    }
}

}  // namespace ralph::config
