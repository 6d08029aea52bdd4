#include "daemon/service/systemd_unit.h"

#include <doctest/doctest.h>

using namespace ralph::core;

TEST_CASE("the name of a repository's unit") {
    CHECK(escape_unit_path("/srv/project") == "srv-project");
    CHECK(escape_unit_path("//srv///project//") == "srv-project");
    CHECK(escape_unit_path("/") == "-");
    CHECK(escape_unit_path("/srv/my project") == R"(srv-my\x20project)");
    CHECK(escape_unit_path("/srv/a-b/100%") == R"(srv-a\x2db-100\x25)");
    CHECK(escape_unit_path("/srv/münchen") == R"(srv-m\xc3\xbcnchen)");
    CHECK(escape_unit_path("/.hidden/.too/a.b") == R"(\x2ehidden-.too-a.b)");
    CHECK(escape_unit_path(R"(/a\b*c[d]$e"f:g_h@i)") == R"(a\x5cb\x2ac\x5bd\x5d\x24e\x22f:g_h\x40i)");
    CHECK(*service_unit_name("/srv/project") == "ralph@srv-project.service");
}

TEST_CASE("paths that can have no unit") {
    for (const char* path : {"/srv/a\nb", "/srv/a\x7f", "/srv/a\xff"}) {
        const auto refused = service_unit_name(path);
        REQUIRE(refused.has_error());
        CHECK(refused.error().message.find("control characters") != std::string::npos);
        CHECK(refused.error().line().find('\n') == std::string::npos);
    }
    CHECK(service_unit_name("/" + std::string(239, 'a')).has_value());
    CHECK(service_unit_name("/" + std::string(239, 'a'))->size() == 253);
    CHECK_FALSE(service_unit_name("/" + std::string(240, 'a')).has_value());
    CHECK_FALSE(service_unit_name("/" + std::string(60, '-')).has_value());  // four characters each
}

TEST_CASE("a word of a unit means nothing but itself") {
    CHECK(unit_word("/srv/a b") == R"("/srv/a b")");
    CHECK(unit_word("/srv/100%/f") == R"("/srv/100%%/f")");
    CHECK(unit_word(R"(/srv/a"b\c)") == R"("/srv/a\"b\\c")");
}

TEST_CASE("paths below others are covered by them, and names that begin alike are not below") {
    CHECK(outermost_paths({"/srv/p/q", "/home/b", "/srv/p", "/srv/pq", "/home/b"}) ==
          std::vector<std::string>{"/home/b", "/srv/p", "/srv/pq"});
    CHECK(outermost_paths({"/srv-a", "/srv/x", "/srv"}) == std::vector<std::string>{"/srv", "/srv-a"});
}

TEST_CASE("the drop-in of a system's service") {
    const ServiceDropIn drop_in{ServiceAccount{"builder", "staff", "/home/builder", false},
                                {"/home/builder", "/srv/my 100% remote.git"},
                                8};
    CHECK(drop_in_text(drop_in).value() ==
          "# Written by `ralph service install`, which writes it anew; changes of your own belong into a "
          "file beside "
          "it.\n"
          "[Unit]\n"
          "RequiresMountsFor=\"/home/builder\" \"/srv/my 100%% remote.git\"\n"
          "\n"
          "[Service]\n"
          "User=builder\n"
          "Group=staff\n"
          "# Agents are often installed below the home.\n"
          "Environment=\"PATH=/home/builder/.local/bin:/home/builder/bin:/usr/local/bin:/usr/bin:/bin\"\n"
          "# These cover parts of /proc, after which no sandbox of an agent can have a /proc of its own.\n"
          "ProtectKernelTunables=no\n"
          "ProtectKernelLogs=no\n"
          "ProtectHostname=no\n"
          "ReadWritePaths=\"/home/builder\" \"/srv/my 100%% remote.git\"\n"
          "Environment=RALPH_WORKERS=8\n");
}

TEST_CASE("root's service stays closed where root could do harm, but for its home") {
    ServiceDropIn drop_in;
    drop_in.account = ServiceAccount{"root", "root", "/root", true};
    drop_in.writable = {"/root"};
    const std::string text = drop_in_text(drop_in).value();
    CHECK(text.find("User=root\n") != std::string::npos);
    CHECK(text.find("ProtectKernel") == std::string::npos);
    CHECK(text.find("ProtectHostname") == std::string::npos);
    CHECK(text.find("ProtectHome=no\n") != std::string::npos);
}

TEST_CASE("a user's own service has nothing but what was asked for") {
    ServiceDropIn drop_in;
    drop_in.workers = 3;
    const std::string text = drop_in_text(drop_in).value();
    CHECK(text.substr(text.find('\n') + 1) == "[Service]\nEnvironment=RALPH_WORKERS=3\n");
}

TEST_CASE("no value of a drop-in becomes a line of its own") {
    const ServiceAccount account{"builder", "staff", "/home/builder", false};
    ServiceDropIn plain;
    plain.account = account;
    plain.writable = {"/srv/a"};
    REQUIRE(drop_in_text(plain).has_value());
    for (const std::string bad : {"/srv/x\nExecStartPre=+/bin/false", "/srv/x\rUser=root", "/srv/\x1b[31m",
                                  "/srv/\u009b31m", "/srv/\u202egpj", "/srv/\u2028User=root", "/srv/\xff"}) {
        CAPTURE(bad);
        ServiceDropIn folder = plain;
        folder.writable.push_back(bad);
        CHECK(drop_in_text(folder).has_error());
        ServiceDropIn user = plain;
        user.account->user = bad;
        CHECK(drop_in_text(user).has_error());
        ServiceDropIn group = plain;
        group.account->group = bad;
        CHECK(drop_in_text(group).has_error());
        ServiceDropIn home = plain;
        home.account->home = bad;
        CHECK(drop_in_text(home).has_error());
    }
}
