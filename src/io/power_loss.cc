#include "io/power_loss.h"

namespace marble {

const char* NameOf(LossPolicy policy) {
  switch (policy) {
    case LossPolicy::kDropAll:
      return "drop all";
    case LossPolicy::kKeepAll:
      return "keep all";
    case LossPolicy::kRandomPages:
      return "random pages";
    case LossPolicy::kTorn:
      return "torn pages";
    case LossPolicy::kZeroTail:
      return "zero tail";
    case LossPolicy::kGarbageTail:
      return "garbage tail";
    case LossPolicy::kRandomEntries:
      return "random entries";
    case LossPolicy::kRenamesFirst:
      return "renames first";
    case LossPolicy::kRemovesFirst:
      return "removes first";
  }
  return "";
}

PowerLoss::PowerLoss(LossPolicy policy, uint64_t seed) : policy_(policy), random_(seed) {
  data_is_whole_ = Coin();
}

bool PowerLoss::KeepsEntry(EntryChange change) {
  switch (policy_) {
    case LossPolicy::kDropAll:
      return false;
    case LossPolicy::kKeepAll:
    case LossPolicy::kZeroTail:
    case LossPolicy::kGarbageTail:
      return true;
    case LossPolicy::kRenamesFirst:
      return change != EntryChange::kRemove || Coin();
    case LossPolicy::kRemovesFirst:
      return change == EntryChange::kRemove;
    case LossPolicy::kRandomPages:
    case LossPolicy::kTorn:
    case LossPolicy::kRandomEntries:
      return Coin();
  }
  return true;
}

bool PowerLoss::EntriesAreOrdered() const {
  return policy_ != LossPolicy::kRandomEntries && policy_ != LossPolicy::kRemovesFirst;
}

bool PowerLoss::KeepsSize() {
  switch (policy_) {
    case LossPolicy::kDropAll:
      return false;
    case LossPolicy::kKeepAll:
    case LossPolicy::kZeroTail:
    case LossPolicy::kGarbageTail:
      return true;
    case LossPolicy::kRandomPages:
    case LossPolicy::kTorn:
    case LossPolicy::kRenamesFirst:
      return Coin();
    case LossPolicy::kRandomEntries:
    case LossPolicy::kRemovesFirst:
      return data_is_whole_ || Coin();
  }
  return true;
}

PowerLoss::PageFate PowerLoss::FateOfPage(bool grown) {
  switch (policy_) {
    case LossPolicy::kDropAll:
    case LossPolicy::kRenamesFirst:
      return PageFate::kOld;
    case LossPolicy::kKeepAll:
      return PageFate::kNew;
    case LossPolicy::kTorn:
      return PageFate::kTorn;
    case LossPolicy::kZeroTail:
      return !grown && Coin() ? PageFate::kNew : PageFate::kOld;
    case LossPolicy::kGarbageTail:
      if (grown) return PageFate::kGarbage;
      return Coin() ? PageFate::kNew : PageFate::kOld;
    case LossPolicy::kRandomPages:
      return Coin() ? PageFate::kNew : PageFate::kOld;
    case LossPolicy::kRandomEntries:
    case LossPolicy::kRemovesFirst:
      return data_is_whole_ || Coin() ? PageFate::kNew : PageFate::kOld;
  }
  return PageFate::kNew;
}

}  // namespace marble
