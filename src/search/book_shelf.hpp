// Books of prices of one job, one per thread at a time, kept from call to call: what one call of a search priced, the
// next finds there. Which thread takes which book changes no result (step/plan/price_book.hpp).
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "step/plan/price_book.hpp"

namespace dts {

class BookShelf {
 public:
  // A book while it is used.
  class Loan {
   public:
    explicit Loan(BookShelf& shelf) : shelf_(shelf), book_(shelf.take()) {}
    ~Loan() { shelf_.give(std::move(book_)); }
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    PriceBook& operator*() noexcept { return *book_; }

   private:
    BookShelf& shelf_;
    std::unique_ptr<PriceBook> book_;
  };

 private:
  std::unique_ptr<PriceBook> take() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (books_.empty()) return std::make_unique<PriceBook>();
    std::unique_ptr<PriceBook> book = std::move(books_.back());
    books_.pop_back();
    return book;
  }
  void give(std::unique_ptr<PriceBook> book) {
    const std::lock_guard<std::mutex> lock(mutex_);
    books_.push_back(std::move(book));
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<PriceBook>> books_;
};

}  // namespace dts
