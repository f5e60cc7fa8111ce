#include "sim/cli/verb.h"
#include "sim/cli/verbs.h"

int main(int argc, char** argv) {
  return coalmine::cli::parse_and_run(coalmine::cli::all_verbs(), argc, argv);
}
