#include "tempest/worker.hpp"

int main(int argc, char** argv) {
  return tempest::run_worker(argc, argv, {});
}
