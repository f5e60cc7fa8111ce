#pragma once

namespace coalmine::rollout {

/// How a sequential test carries its evidence from one bet into the next.
///
/// A test's likelihood ratio (or mixture of them) is a bet against "the canary is as good as
/// stable": its expectation never rises if that is true. We start with wealth 1 and bet only
/// part of it; at each new weight step, and whenever a bet has come to nothing (kLost), a part of
/// the reserve joins the next bet. Wealth stays a non-negative supermartingale, so by Ville's
/// inequality it ever reaches 1/alpha with probability at most alpha (Shafer 2021, "Testing by
/// betting"; Waudby-Smith & Ramdas, arXiv 2010.09686). The point of the reserve: a long healthy
/// stretch eats the stake, and without fresh stake a fault that shows late would need far more
/// evidence than one at the start.
///
/// The i-th renewal gets 1/(i(i+1)) of the first reserve: the parts sum to at most 1 and shrink
/// slowly, so that even the hundredth costs only ln(10100) = 9 nats more than the first.
struct Wealth {
  /// Kept back at the start; costs ln(1/0.9) = 0.11 nats, one canary request of a 5% fault.
  static constexpr double kFirstReserve = 0.1;
  /// A bet at this factor is closed and begun anew.
  static constexpr double kLost = 0.05;

  double reserve = kFirstReserve;
  double stake = 1 - kFirstReserve;
  int renewals = 0;

  /// All wealth when the running bet has multiplied its stake by `factor`.
  double with(double factor) const { return reserve + stake * factor; }
  /// The factor at which with() reaches `limit`.
  double factor_for(double limit) const { return (limit - reserve) / stake; }
  /// The bet that stood at `factor` is closed; its proceeds and a part of the reserve are the
  /// stake of the next one.
  void renew(double factor) {
    ++renewals;
    // What is left after i renewals is 1/(i+1) of the first reserve; this takes 1/(i+1) of it.
    const double part = reserve / (renewals + 1);
    stake = stake * factor + part;
    reserve -= part;
  }
  bool operator==(const Wealth&) const = default;
};

}  // namespace coalmine::rollout
