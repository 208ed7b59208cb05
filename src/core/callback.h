// Callback<R(Args...)>: two words, an object and a function; trivially copyable, never allocates.
//
// It does not own the object: whoever holds a Callback must be destroyed, or have it reset, before the object dies.
// Handles of operations (core/loop.h, net/resolver.h, …) do that in their destructors.
//
//   timer_.start(5s, core::Callback<void()>::to<&Session::on_timeout>(this));
#pragma once

#include <utility>

namespace tributary::core {

template <class Signature>
class Callback;

template <class R, class... Args>
class Callback<R(Args...)> {
 public:
  constexpr Callback() = default;

  // Binds a member function of `object`.
  template <auto Method, class T>
  static constexpr Callback to(T* object) {
    Callback callback;
    callback.object_ = object;
    callback.function_ = [](void* self, Args... args) -> R {
      return (static_cast<T*>(self)->*Method)(std::forward<Args>(args)...);
    };
    return callback;
  }

  // Binds a plain function that takes the context first.
  static constexpr Callback from(R (*function)(void*, Args...), void* context) {
    Callback callback;
    callback.object_ = context;
    callback.function_ = function;
    return callback;
  }

  // Binds a callable that outlives the callback (a lambda held in a test's local, say).
  template <class F>
  static constexpr Callback ref(F& callable) {
    Callback callback;
    callback.object_ = &callable;
    callback.function_ = [](void* self, Args... args) -> R {
      return (*static_cast<F*>(self))(std::forward<Args>(args)...);
    };
    return callback;
  }

  explicit constexpr operator bool() const { return function_ != nullptr; }
  R operator()(Args... args) const { return function_(object_, std::forward<Args>(args)...); }
  constexpr void reset() { *this = Callback(); }

 private:
  void* object_ = nullptr;
  R (*function_)(void*, Args...) = nullptr;
};

}  // namespace tributary::core
