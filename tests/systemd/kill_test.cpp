// An ordinary day: the main process is killed.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/systemd/service.h"

using namespace ralph::tests;
using ralph::core::Lifecycle;

TEST_CASE(
    "the main process is killed twenty times with eight workers alive: all keep their pids and end truly") {
    Service service(8);
    struct Worker {
        std::string name;
        int status;
        std::string task;
    };
    std::vector<Worker> workers{{"zero", 0, ""},      {"seven", 7, ""},   {"nought", 0, ""}, {"one", 1, ""},
                                {"highest", 255, ""}, {"nothing", 0, ""}, {"sixty", 65, ""}, {"none", 0, ""}};
    for (Worker& worker : workers) {
        worker.task = service.add_worker(
            worker.name, "echo done > " + worker.name + ".txt; exit " + std::to_string(worker.status));
    }
    service.project.commit_and_push();
    service.start();
    REQUIRE(Project::eventually([&] { return service.all_have_begun(); }));
    const auto before = service.living();
    REQUIRE(before.size() == workers.size());

    pid_t main_process = service.main_process();
    for (int killed = 0; killed < 20; ++killed) {
        CAPTURE(killed);
        service.kill_main_process();
        const pid_t next = service.next_main_process(main_process);
        CHECK(next != main_process);
        main_process = next;
    }
    CHECK(std::stoi(service.property("NRestarts")) == 20);
    CHECK(service.living() == before);

    service.let_all_go();
    for (const Worker& worker : workers) {
        CAPTURE(worker.name);
        REQUIRE(Project::eventually([&] { return service.is_terminal(worker.task); }));
        const auto record = *service.project.record(worker.task);
        CAPTURE(record.last_error.value_or(""));
        if (worker.status == 0) {
            CHECK(record.lifecycle == Lifecycle::completed);
        } else {
            CHECK(record.lifecycle == Lifecycle::failed);
            CHECK(record.last_error->find("exited with status " + std::to_string(worker.status)) !=
                  std::string::npos);
        }
    }
    CHECK(service.beginnings().size() == workers.size());
    const auto subjects = service.project.remote_subjects();
    for (const Worker& worker : workers) {
        CHECK(std::count(subjects.begin(), subjects.end(),
                         "ralph: archive " + worker.task + " queue bookkeeping") ==
              (worker.status == 0 ? 1 : 0));
    }
    CHECK(service.property("ActiveState") == "active");
}
