#include "sim/core/math.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace coalmine::math {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
// ln 2 in two parts; the high part has 21 trailing zero bits, so k * kLn2High is exact.
constexpr double kLn2High = 0x1.62e42fee00000p-1;
constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
constexpr double kHalfLog2Pi = 0.91893853320467274178;

/// log((1 + s) / (1 - s)) - 2s as a series in s = (m - 1) / (m + 1), |s| <= 0.1716.
double atanh_tail(double s) {
  const double z = s * s;
  double sum = 2.0 / 25;
  sum = sum * z + 2.0 / 23;
  sum = sum * z + 2.0 / 21;
  sum = sum * z + 2.0 / 19;
  sum = sum * z + 2.0 / 17;
  sum = sum * z + 2.0 / 15;
  sum = sum * z + 2.0 / 13;
  sum = sum * z + 2.0 / 11;
  sum = sum * z + 2.0 / 9;
  sum = sum * z + 2.0 / 7;
  sum = sum * z + 2.0 / 5;
  sum = sum * z + 2.0 / 3;
  return sum * z * s;
}

/// 2^k * x for results in the normal or subnormal range.
double scale(double x, int k) {
  const auto power = [](int e) { return std::bit_cast<double>(std::uint64_t(e + 1023) << 52); };
  if (k > 1023) return x * power(1023) * power(k - 1023);
  if (k < -1022) return x * power(-969) * power(k + 969);
  return x * power(k);
}

/// The continued fraction of the incomplete beta; converges fast for x < (a+1)/(a+b+2).
double beta_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  double c = 1;
  double d = 1 - (a + b) * x / (a + 1);
  if (std::fabs(d) < kTiny) d = kTiny;
  d = 1 / d;
  double result = d;
  for (int m = 1; m <= 10000; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 + even * d;
    if (std::fabs(d) < kTiny) d = kTiny;
    c = 1 + even / c;
    if (std::fabs(c) < kTiny) c = kTiny;
    d = 1 / d;
    result *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 + odd * d;
    if (std::fabs(d) < kTiny) d = kTiny;
    c = 1 + odd / c;
    if (std::fabs(c) < kTiny) c = kTiny;
    d = 1 / d;
    const double change = d * c;
    result *= change;
    if (std::fabs(change - 1) < 1e-16) break;
  }
  return result;
}

}  // namespace

double log(double x) {
  if (!(x > 0)) return x == 0 ? -kInf : kNaN;
  if (x == kInf) return kInf;
  int k = 0;
  if (x < std::numeric_limits<double>::min()) {
    x *= 0x1.0p54;
    k = -54;
  }
  std::uint64_t bits = std::bit_cast<std::uint64_t>(x);
  k += static_cast<int>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++k;
  }
  const double f = m - 1;
  if (f == 0) return k * kLn2High + k * kLn2Low;
  const double s = f / (2 + f);
  // log(1+f) = f - f*s + tail keeps the leading term exact: 2s = f - f*s.
  const double correction = atanh_tail(s) - f * s;
  return k * kLn2High + (f + (correction + k * kLn2Low));
}

double log1p(double x) {
  const double u = 1 + x;
  if (u == 1) return x;
  return log(u) * (x / (u - 1));
}

double exp(double x) {
  if (std::isnan(x)) return x;
  if (x > 709.79) return kInf;
  if (x < -745.14) return 0;
  const double scaled = x * 1.4426950408889634;
  const int k = static_cast<int>(scaled + (scaled < 0 ? -0.5 : 0.5));
  const double high = x - k * kLn2High;
  const double r = high - k * kLn2Low;
  double sum = 1.0 / 6227020800;
  sum = sum * r + 1.0 / 479001600;
  sum = sum * r + 1.0 / 39916800;
  sum = sum * r + 1.0 / 3628800;
  sum = sum * r + 1.0 / 362880;
  sum = sum * r + 1.0 / 40320;
  sum = sum * r + 1.0 / 5040;
  sum = sum * r + 1.0 / 720;
  sum = sum * r + 1.0 / 120;
  sum = sum * r + 1.0 / 24;
  sum = sum * r + 1.0 / 6;
  sum = sum * r + 0.5;
  return scale(1 + (r + r * r * sum), k);
}

double pow(double x, double y) {
  return exp(y * log(x));
}

double lgamma(double x) {
  if (!(x > 0)) return kNaN;
  double product = 1;
  double shift = 0;
  while (x < 12) {
    product *= x;
    x += 1;
  }
  if (product != 1) shift = log(product);
  const double z = 1 / (x * x);
  double series = -691.0 / 360360;
  series = series * z + 1.0 / 1188;
  series = series * z - 1.0 / 1680;
  series = series * z + 1.0 / 1260;
  series = series * z - 1.0 / 360;
  series = series * z + 1.0 / 12;
  return (x - 0.5) * log(x) - x + kHalfLog2Pi + series / x - shift;
}

double lbeta(double a, double b) {
  return lgamma(a) + lgamma(b) - lgamma(a + b);
}

double incomplete_beta(double a, double b, double x) {
  if (!(x > 0)) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incomplete_beta(b, a, 1 - x);
  const double front = exp(a * log(x) + b * log1p(-x) - lbeta(a, b)) / a;
  return front * beta_fraction(a, b, x);
}

double incomplete_beta_upper(double a, double b, double x) {
  return incomplete_beta(b, a, 1 - x);
}

double normal_cdf(double z) {
  const double x = std::fabs(z);
  double tail = 0;
  if (x < 3) {
    // Series for P(0 < Z < x): phi(x) * sum x^(2n+1) / (1*3*5*...*(2n+1)).
    double term = x;
    double sum = x;
    for (int n = 1; n < 200 && term > sum * 1e-17; ++n) {
      term *= x * x / (2 * n + 1);
      sum += term;
    }
    tail = 0.5 - sum * exp(-x * x / 2 - kHalfLog2Pi);
  } else {
    double fraction = x;
    for (int n = 100; n >= 1; --n) fraction = x + n / fraction;
    tail = exp(-x * x / 2 - kHalfLog2Pi) / fraction;
  }
  return z > 0 ? 1 - tail : tail;
}

}  // namespace coalmine::math
