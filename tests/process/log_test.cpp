// The log in the forms that programs read.
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <boost/json/parse.hpp>
#include <sstream>

#include "daemon/log/field_sink.h"
#include "tests/support/project.h"
#include "tests/support/temporary_directory.h"

using namespace ralph::daemon;
using ralph::tests::Project;
namespace json = boost::json;

namespace {

const LogFields all_fields{"RQ-0001", "failed", "work", 2, 7, std::nullopt};

// A journal that reads when it is asked to.
class Journal {
  public:
    explicit Journal(std::string path)
        : path_(std::move(path)), socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        REQUIRE(path_.size() < sizeof(address.sun_path));
        path_.copy(address.sun_path, path_.size());
        REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    }
    [[nodiscard]] const std::string& path() const { return path_; }
    // Empty when there is none.
    [[nodiscard]] std::string take() const {
        std::array<char, 65536> buffer{};
        const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        return {buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
    }

  private:
    std::string path_;
    FileDescriptor socket_;
};

}  // namespace

TEST_CASE("a line of JSON has its fields apart from its text") {
    CHECK(json_log_line(spdlog::level::warn, all_fields, "said \"no\"\n", "2026-01-01T00:00:00Z") ==
          R"({"version":1,"time":"2026-01-01T00:00:00Z","level":"warning","message":"said \"no\"\n",)"
          R"("task_id":"RQ-0001","lifecycle":"failed","step":"work","attempt":2,"exit_status":7})"
          "\n");
    CHECK(json_log_line(spdlog::level::info, {}, "text", "now") ==
          R"({"version":1,"time":"now","level":"info","message":"text"})"
          "\n");
}

TEST_CASE("an entry of the journal, in its native form") {
    CHECK(journal_entry(spdlog::level::warn, all_fields, "failed: status 7", "/repo") ==
          "MESSAGE=RQ-0001 failed: status 7\nPRIORITY=4\nSYSLOG_IDENTIFIER=ralph\nRALPH_REPO=/repo\n"
          "TASK_ID=RQ-0001\nLIFECYCLE=failed\nSTEP=work\nATTEMPT=2\nEXIT_STATUS=7\n");
    using namespace std::string_literals;
    CHECK(journal_entry(spdlog::level::err, {}, "two\nlines", "/re\npo") ==
          "MESSAGE\n\x09\0\0\0\0\0\0\0two\nlines\nPRIORITY=3\nSYSLOG_IDENTIFIER=ralph\nRALPH_REPO\n"
          "\x06\0\0\0\0\0\0\0/re\npo\n"s);
    CHECK(journal_entry(spdlog::level::debug, {}, std::string(1U << 20U, 'x'), "/repo").size() < 70'000);
}

TEST_CASE("a journal that does not read holds nobody up, and is told what it missed") {
    const ralph::tests::TemporaryDirectory folder;
    const Journal journal(folder / "journal");
    JournalSink sink(journal.path(), "/repo");
    for (int i = 0; i < 5000; ++i) {
        sink.write(spdlog::level::info, {}, "line " + std::to_string(i));
    }
    int got = 0;
    while (!journal.take().empty()) {
        ++got;
    }
    CHECK(got > 0);
    REQUIRE(got < 5000);
    sink.write(spdlog::level::info, {}, "again");
    CHECK(journal.take().find("MESSAGE=" + std::to_string(5000 - got) +
                              " lines of the log are missing here") == 0);
    CHECK(journal.take().find("MESSAGE=again\n") == 0);
    CHECK(journal.take().empty());
}

TEST_CASE("--log-format json: every line is an object") {
    Project project;
    const std::string id = project.add("fails", "exit 7");
    project.commit_and_push();
    const auto end = project.ralph({"run", "--parallel", "2", "--log-format", "json"});
    CHECK(end.status == 3);
    bool told = false;
    std::istringstream lines(end.errors);
    for (std::string line; std::getline(lines, line);) {
        CAPTURE(line);
        const json::object object = json::parse(line).as_object();
        CHECK(object.at("version").as_int64() == 1);
        CHECK(object.at("time").as_string().size() == 30);
        CHECK(object.contains("level"));
        CHECK(object.contains("message"));
        if (object.contains("exit_status")) {
            told = true;
            CHECK(object.at("task_id").as_string() == id);
            CHECK(object.at("lifecycle").as_string() == "failed");
            CHECK(object.at("step").as_string() == "work");
            CHECK(object.at("attempt").as_int64() == 1);
            CHECK(object.at("exit_status").as_int64() == 7);
            CHECK(object.at("message").as_string() == "failed: work exited with status 7");
        }
    }
    CHECK(told);
}

TEST_CASE("--log-format json: why a run cannot begin is an object, too") {
    const Project project;
    Project::write(project.paths().root + "/.ralph/queue.jsonc", "{");
    const auto end = project.ralph({"run", "--parallel", "2", "--log-format", "json"});
    CHECK(end.status == 1);
    const json::object object = json::parse(end.errors).as_object();
    CHECK(object.at("level").as_string() == "error");
    CHECK(object.at("message").as_string().find("queue.jsonc") != json::string::npos);
    const auto wrong = project.ralph({"run", "--log-format", "xml"});
    CHECK(wrong.status == 2);
    CHECK(wrong.errors == "ralph: --log-format: xml not in {plain,json}; see `ralph --help`\n");
}

TEST_CASE("a title that would steer a terminal is escaped in all that is printed, and cut where it is long") {
    Project project;
    const std::string steering = "evil \u009b31m \u202egpj \x1b[2J\x7f \u2028 end";
    const std::string id = project.add(steering, "exit 3");
    project.add(std::string(100'000, 'x'), "exit 3", {});
    project.add(std::string(50'000, '\x1b'), "exit 3", {});
    project.commit_and_push();
    for (const std::vector<std::string>& command : {std::vector<std::string>{"queue", "list"},
                                                    {"queue", "list", "--json"},
                                                    {"queue", "validate"},
                                                    {"run", "--parallel", "2", "--log-level", "trace"},
                                                    {"run", "--parallel", "2", "--log-format", "json"},
                                                    {"run", "parallel", "status"},
                                                    {"run", "parallel", "status", "--json"},
                                                    {"run", "parallel", "retry", "--task", "RQ-\u009b\u202e"},
                                                    {"kept", "show", "\u009b\u202e"},
                                                    {"task", "add", "x", "--depends-on", "\u009b\u202e"},
                                                    {"\u009b\u202e"},
                                                    {"doctor"},
                                                    {"doctor", "--json"}}) {
        const auto end = project.ralph(command);
        CAPTURE(command.front());
        for (const std::string& text : {end.output, end.errors}) {
            for (const char* raw : {"\u009b", "\u202e", "\x1b", "\x7f", "\u2028"}) {
                CHECK(text.find(raw) == std::string::npos);
            }
            CHECK((command.back() == "--json" || text.size() < 50'000));
            if (command.back() == "--json") {
                boost::system::error_code problem;
                static_cast<void>(json::parse(text, problem));
                CHECK((text.empty() || !problem));
            }
        }
    }
    const std::string listed = project.ralph({"queue", "list", "--json"}).output;
    CHECK(json::parse(listed).at("tasks").at(0).at("title").as_string() == steering);
    CHECK(project.ralph({"queue", "list"}).output.find("evil \\u009b31m \\u202egpj \\x1b[2J") !=
          std::string::npos);
}

TEST_CASE("a line of the log is escaped and cut in each of its forms") {
    const std::string steering = "\u009b\u202e\x1b" + std::string(100'000, 'y');
    CHECK(log_line(steering).size() < 5'000);
    CHECK(log_line("a\u009bb\nc") == "a\\u009bb | c");
    const ralph::tests::TemporaryDirectory folder;
    const Journal journal(folder / "journal");
    JournalSink sink(journal.path(), "/repo");
    sink.write(spdlog::level::info, {}, steering);
    const std::string entry = journal.take();
    CHECK(entry.rfind("MESSAGE=\\u009b\\u202e\\x1byyy", 0) == 0);
    CHECK(entry.size() < 5'000);
    const auto formatter = log_formatter("%v");
    spdlog::memory_buf_t out;
    formatter->format({"ralph", spdlog::level::info, steering}, out);
    CHECK(std::string(out.data(), out.size()).rfind("\\u009b\\u202e\\x1byyy", 0) == 0);
    CHECK(out.size() < 5'000);
}
