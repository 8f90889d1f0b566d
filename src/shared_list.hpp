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
  SharedList() = default;
  SharedList(std::vector<Item> list) : list_(std::make_shared<const std::vector<Item>>(std::move(list))) {}
  SharedList(std::initializer_list<Item> list) : SharedList(std::vector<Item>(list)) {}
  SharedList(std::shared_ptr<const std::vector<Item>> list) : list_(std::move(list)) {}

  operator const std::vector<Item>&() const noexcept {
    static const std::vector<Item> none;
    return list_ ? *list_ : none;
  }
  const Item& operator[](std::size_t i) const { return (*list_)[i]; }
  std::size_t size() const noexcept { return list_ ? list_->size() : 0; }
  bool empty() const noexcept { return size() == 0; }
  const Item* begin() const noexcept { return list_ ? list_->data() : nullptr; }
  const Item* end() const noexcept { return begin() + size(); }

  template <class Change>
  void change(Change change) {
    std::vector<Item> own = *this;
    change(own);
    list_ = std::make_shared<const std::vector<Item>>(std::move(own));
  }

 private:
  std::shared_ptr<const std::vector<Item>> list_;  // null: empty; one for all would be counted by all threads
};

}  // namespace dts
