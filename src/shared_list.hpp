// A list that several owners read: copies share it, and a change makes a list of one's own.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

namespace dts {

template <class Item>
class SharedList {
 public:
  SharedList() {
    static const auto none = std::make_shared<const std::vector<Item>>();
    list_ = none;
  }
  SharedList(std::vector<Item> list) : list_(std::make_shared<const std::vector<Item>>(std::move(list))) {}
  SharedList(std::initializer_list<Item> list) : SharedList(std::vector<Item>(list)) {}
  SharedList(std::shared_ptr<const std::vector<Item>> list) : list_(std::move(list)) {}

  operator const std::vector<Item>&() const noexcept { return *list_; }
  const Item& operator[](std::size_t i) const { return (*list_)[i]; }
  std::size_t size() const noexcept { return list_->size(); }
  bool empty() const noexcept { return list_->empty(); }
  auto begin() const noexcept { return list_->begin(); }
  auto end() const noexcept { return list_->end(); }

  template <class Change>
  void change(Change change) {
    std::vector<Item> own = *list_;
    change(own);
    list_ = std::make_shared<const std::vector<Item>>(std::move(own));
  }

 private:
  std::shared_ptr<const std::vector<Item>> list_;
};

}  // namespace dts
