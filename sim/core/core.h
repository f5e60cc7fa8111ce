// sim/core: what everything stands on. No I/O of its own, no clock, no threads.
//
//   result.h     Result<T>, Error, TRY: errors are values
//   check.h      CHECK: a broken invariant ends the program, in every build
//   time.h       Duration, TimePoint and their text forms
//   units.h      parsing "10m", "1%", "100/s" as people write them
//   random.h     seedable, splittable random streams with portable distributions
//   math.h       log, exp, lgamma, incomplete beta: the same bits on every machine
//   histogram.h  log-linear latency histogram with bounded relative error
//   json.h       JSON behind plain functions
//   ids.h        identifiers drawn from a random stream
//
// Determinism is made here: same seed, same bytes, whatever compiler or CPU. So nothing
// below uses std:: distributions, libm's log/exp/pow, unordered iteration or a wall clock.
#pragma once
