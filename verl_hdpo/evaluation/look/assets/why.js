// Why a rollout went up or down, in words, from the numbers of its group.

function why(row, estimator) {
  const group = store.groups.get(row.group);
  const known = group.filter((one) => one.outcome === "correct" || one.outcome === "wrong");
  const right = group.filter((one) => one.outcome === "correct");
  if (row.outcome === "unknown" || row.outcome === "lost") {
    const cause = row.lost || row.verdict;
    return [`Its outcome is ${row.outcome}${cause ? ` (${cause})` : ""}: it is in no loss and in no group's mean. Unknown is not wrong.`];
  }
  const said = [];
  if (row.a_acc !== undefined) {
    const rewards = known.map((one) => one.r_acc ?? one.reward), own = row.r_acc ?? row.reward;
    said.push(compared("A_acc", row.a_acc, estimator === "hdpo" || estimator === "grpo" ? own : undefined, rewards, `${known.length} rollouts of known outcome`, "reward"));
  }
  if (row.a_tool !== undefined) {
    if (row.outcome === "wrong") said.push("A_tool is 0: only right answers are compared by their calls, so a wrong one gains nothing by being cheap.");
    else if (right.length < 2) said.push("A_tool is 0: no other rollout of the group is right, so there is nothing to compare its calls with.");
    else said.push(compared("A_tool", row.a_tool, row.r_tool, right.map((one) => one.r_tool), `${right.length} right rollouts`, "r_tool"));
  }
  if (row.need === "needless") said.push("A sibling is right without a call: this one's calls were not needed.");
  if (row.need === "missed") said.push("A sibling that called is right: a call was missed here.");
  if (!said.length) said.push("The file holds no advantages. The trainer writes them where trainer.rollout_data_dir is set and the run is one of verl-hdpo, or has +algorithm.hdpo.observe=true.");
  return said;
}

function compared(name, advantage, own, values, whose, what) {
  const way = advantage > 0 ? "up" : advantage < 0 ? "down" : "nowhere";
  const numbers = values.filter((value) => typeof value === "number");
  if (own === undefined || !numbers.length) return `${name} ${signed(advantage)} moves it ${way}.`;
  const mean = numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
  if (numbers.every((value) => value === numbers[0])) return `${name} is ${signed(advantage)}: all ${whose} have the same ${what}, ${number(own)}.`;
  return `${name} ${signed(advantage)} moves it ${way}: its ${what} is ${number(own)}, the mean of the ${whose} ${number(mean)}.`;
}
