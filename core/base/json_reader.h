// Typed reading of JSON objects: each call takes one key into one variable, the first fault is kept, and
// finish() refuses what nobody asked for. The reader's path ("tasks[2].agent") is how errors name a value.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/jsonc.h"

namespace ralph::core {

struct JsonFault {
    std::string path;
    std::string message;  // continues "key `path` ", as in "must be a string"
};

class ObjectReader {
  public:
    // Both references must outlive the reader. A value that is no object is itself a fault.
    ObjectReader(const boost::json::value& value, std::string path, std::optional<JsonFault>& fault);

    // The value of `key`, or nullptr if it is absent or an earlier fault stopped the reading.
    [[nodiscard]] const boost::json::value* find(std::string_view key);

    // Absent keys leave `out` as it was; null and a wrong type are faults.
    void read(std::string_view key, std::string& out);
    void read(std::string_view key, bool& out);
    void read(std::string_view key, std::uint32_t& out);
    void read(std::string_view key, std::uint64_t& out);
    void read(std::string_view key, std::vector<std::string>& out);
    // As above, but null means absent.
    void read(std::string_view key, std::optional<std::string>& out);
    void read(std::string_view key, std::optional<std::uint32_t>& out);
    void read(std::string_view key, std::optional<bool>& out);
    // An absent key is a fault.
    void require(std::string_view key);
    // As read, but an absent key is a fault.
    void require(std::string_view key, std::string& out);
    void require(std::string_view key, std::uint32_t& out);

    // The key `version` of a document: 1 to `newest`. One of a newer format is refused rather than misread.
    void require_version(std::uint32_t newest);

    // Text that `parse` (std::string_view -> std::optional<T>) turns into a T; `expected` lists what it
    // accepts.
    template <class T, class Parse>
    void read_as(std::string_view key, T& out, Parse parse, std::string_view expected) {
        std::optional<std::string> text;
        read_text(key, text);
        if (!text) {
            return;
        }
        if (auto parsed = parse(std::string_view(*text))) {
            out = std::move(*parsed);
        } else {
            fail(key, "must be " + std::string(expected) + ", not \"" + *text + "\"");
        }
    }

    // Reads the object at `key` with `read_members` (ObjectReader& -> void) and refuses what it did not ask
    // for. Absent and null mean that there is nothing to read.
    template <class Read>
    void read_object(std::string_view key, Read read_members) {
        if (const boost::json::value* value = find_not_null(key)) {
            ObjectReader object(*value, path_of(key), fault_);
            read_members(object);
            object.finish();
        }
    }

    // The same for each object of the array at `key`.
    template <class Read>
    void read_objects(std::string_view key, Read read_members) {
        const boost::json::value* const value = find_not_null(key);
        if (value == nullptr) {
            return;
        }
        if (!value->is_array()) {
            fail(key, "must be an array of objects");
            return;
        }
        std::size_t index = 0;
        for (const boost::json::value& item : value->get_array()) {
            ObjectReader object(item, path_of(key) + "[" + std::to_string(index++) + "]", fault_);
            read_members(object);
            object.finish();
        }
    }

    // The keys of the object in the order of the text; empty after a fault. For objects whose keys are names.
    [[nodiscard]] std::vector<std::string> keys() const;

    // Keys that are known and deliberately not looked at.
    void ignore(std::string_view key);

    // Refuses unknown keys, naming the nearest known one.
    void finish();

    void fail(std::string_view key, std::string message);
    [[nodiscard]] std::string path_of(std::string_view key) const;
    [[nodiscard]] bool ok() const { return !fault_.has_value(); }

  private:
    void read_text(std::string_view key, std::optional<std::string>& out);
    template <class T>
    void read_unsigned(std::string_view key, T& out);
    [[nodiscard]] const boost::json::value* find_not_null(std::string_view key);

    const boost::json::object* object_;
    std::string path_;
    std::optional<JsonFault>& fault_;
    std::vector<std::string> known_;
};

// The known name closest to `name` by edit distance, or nothing if none is near.
[[nodiscard]] std::optional<std::string> nearest_name(std::string_view name,
                                                      const std::vector<std::string>& known);

}  // namespace ralph::core
