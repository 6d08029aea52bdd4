// A disk in memory. It remembers what was made durable and what only seemed to be, fails when it is told to,
// and can lose its power: then everything that was not synced is kept, dropped or torn.
//
// A directory's changes since its last sync are a journal, of which a loss of power keeps some beginning. A
// rename is one entry of it; between two directories it happens in both or in neither.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/random.h"

namespace ralph::fake {

struct Node {
    bool directory = false;
    std::string content;
    std::string durable_content;
    int flock_holder = -1;      // the descriptor
    int record_holder = -1;     // the same, of the open file description lock
    bool held_by_shim = false;  // the open file description lock

    using Entries = std::map<std::string, std::shared_ptr<Node>, std::less<>>;
    struct Change {
        std::string name;
        std::shared_ptr<Node> node;   // null: removed
        std::uint64_t group = 0;      // changes of one call
        std::weak_ptr<Node> partner;  // the other directory of a rename between two
    };
    Entries entries;
    Entries durable_entries;
    std::vector<Change> journal;
};
using NodePointer = std::shared_ptr<Node>;

enum class Operation {
    open,
    create,
    read,
    write,
    sync,
    make_directory,
    rename,
    link,
    unlink,
    list,
    lock,
    status
};

// What a call is told to do instead of its work.
struct Fault {
    int error = 0;             // 0: none
    bool short_write = false;  // writes half
};

class Disk {
  public:
    Disk();

    // Asked before every call of the supervisor; counts, fails, or lets the supervisor die.
    std::function<Fault(Operation, const std::string& path)> before;
    // After a rename, with the new path.
    std::function<void(const std::string& path)> renamed;

    // The calls, errno included, as in daemon/os/file_calls.h.
    int open(const std::string& path, int flags);
    int open_below(int parent, const std::string& name);
    void close(int descriptor);
    long read(int descriptor, char* buffer, std::size_t size);
    long write(int descriptor, const char* data, std::size_t size, bool at_start);
    int sync(int descriptor);
    int status(const NodePointer& node, bool& directory, unsigned long long& size) const;
    int list(int descriptor, std::vector<std::string>& names);
    int make_directory(const std::string& path);
    int rename(const std::string& from, const std::string& to, bool replace);
    int link(const std::string& from, const std::string& to);
    int unlink(const NodePointer& parent, const std::string& name, const std::string& path, bool directory);
    int unlink(const std::string& path, bool directory);
    int lock(int descriptor);
    int lock_record(int descriptor);

    [[nodiscard]] NodePointer node_of(int descriptor) const;
    [[nodiscard]] NodePointer find(std::string_view path) const;
    [[nodiscard]] const std::string& path_of(int descriptor) const;
    Fault fault(Operation operation, const std::string& path) const;

    // For the rest of the world: at once and durable, without faults.
    void put(const std::string& path, std::string_view content);
    void put_directory(const std::string& path);
    void remove(const std::string& path);
    [[nodiscard]] const std::string* content(std::string_view path) const;
    // What is certain to be found after a loss of power; null if nothing is.
    [[nodiscard]] const std::string* durable_content(std::string_view path) const;

    // All descriptors are closed, all locks of the supervisor let go.
    void supervisor_died();
    void lose_power(sim::Random& random);

  private:
    struct Opened {
        NodePointer node;
        std::string path;
        std::size_t position = 0;
        bool append = false;
    };
    [[nodiscard]] NodePointer parent_of(std::string_view path, std::string& name) const;
    static void change(Node& directory, const std::string& name, NodePointer node, std::uint64_t group,
                       const NodePointer& partner = nullptr);
    static void apply(Node& directory, const Node::Change& change);
    static void make_durable(Node& node);

    NodePointer root_;
    std::map<int, Opened> opened_;
    int next_descriptor_;
    std::uint64_t next_group_ = 1;
};

// Descriptors of fake files begin here, so that they cannot be taken for real ones.
inline constexpr int first_descriptor = 1'000'000;

}  // namespace ralph::fake
