// How settings files are read: layer after layer into the same struct, so that a later layer overrides an
// earlier one leaf by leaf and lists are replaced whole (contract section 3.1). Everywhere null means absent.
//
// Internal to config/.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/layer.h"
#include "core/base/error.h"
#include "core/base/json_reader.h"
#include "core/base/jsonc.h"
#include "core/base/time.h"

namespace ralph::config {

// Remembers the first key that only a trusted repository may set (contract section 3.2).
class TrustGate {
  public:
    explicit TrustGate(bool open) : open_(open) {}

    void claim(std::string path);
    [[nodiscard]] const std::optional<std::string>& refused() const { return refused_; }

  private:
    bool open_;
    std::optional<std::string> refused_;
};

struct OpenLayer {
    core::JsonDocument document;
    bool commands_allowed;  // false only for the project layer of a repository that is not trusted
};

// The layers that exist, lowest precedence first. Text that is no JSONC is an error.
[[nodiscard]] core::Result<std::vector<OpenLayer>> open_layers(const std::optional<Layer>& global,
                                                               const std::optional<Layer>& project,
                                                               bool trusted, core::DuplicateKeys duplicates);

using ReadRoot = std::function<void(core::ObjectReader& root, TrustGate& gate)>;

// Runs `read` over the top level of one layer, refuses unknown keys there, and gives the first error.
[[nodiscard]] std::optional<core::Error> read_layer(const OpenLayer& layer, const ReadRoot& read);

// An error about the merged settings, placed where the highest layer that sets the key sets it.
[[nodiscard]] core::Error error_in(const std::vector<OpenLayer>& layers, const core::JsonFault& fault);

// Whether the key is there and not null.
[[nodiscard]] bool is_set(core::ObjectReader& reader, std::string_view key);

// As is_set; a key that is set needs trust.
bool claim_if_set(core::ObjectReader& reader, std::string_view key, TrustGate& gate);

// Each of these leaves `out` alone if the key is not set, and notes a fault if the value does not fit.
void read_flag(core::ObjectReader& reader, std::string_view key, bool& out);
void read_list(core::ObjectReader& reader, std::string_view key, std::vector<std::string>& out);
// Environment variables by name; none may be one of ours (RALPH_*). What `out` holds stays.
void read_environment(core::ObjectReader& reader, std::string_view key,
                      std::map<std::string, std::string>& out);
// Neither blank nor with a character that is a line break, a control or a direction: what becomes a path, a
// name or a part of an id.
void read_name(core::ObjectReader& reader, std::string_view key, std::string& out);
void read_duration(core::ObjectReader& reader, std::string_view key, core::Milliseconds low,
                   core::Milliseconds high, core::Milliseconds& out);

// Text such as "512MiB", in bytes; "0" is 0, which may lie outside of the bounds.
void read_size(core::ObjectReader& reader, std::string_view key, std::uint64_t low, std::uint64_t high,
               std::uint64_t& out);
// What becomes an argument of an agent, and must be no option of it.
void read_word(core::ObjectReader& section, std::string_view key, std::string& out);
// One of two words; the second one is true.
void read_either(core::ObjectReader& section, std::string_view key, const char* no, const char* yes,
                 bool& out);
// A number such as 1.5, as 150; 0 may lie outside of the bounds, which are in hundredths, too.
void read_hundredths(core::ObjectReader& reader, std::string_view key, std::uint32_t low, std::uint32_t high,
                     std::uint32_t& out);

// A whole number within [low, high], or nothing if the key is not set or there is a fault.
[[nodiscard]] std::optional<std::uint64_t> whole_number(core::ObjectReader& reader, std::string_view key,
                                                        std::uint64_t low, std::uint64_t high);

template <class T>
void read_whole(core::ObjectReader& reader, std::string_view key, std::uint64_t low, std::uint64_t high,
                T& out) {
    if (const auto number = whole_number(reader, key, low, high)) {
        out = static_cast<T>(*number);
    }
}

// Notes a fault unless the text is one of `choices`.
void check_choice(core::ObjectReader& reader, std::string_view key, std::string_view text,
                  const std::vector<std::string>& choices);

// With ASCII letters in lower case.
[[nodiscard]] std::string lower_case(std::string_view text);

}  // namespace ralph::config
