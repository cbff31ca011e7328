// What turns a fetched file into text for the agent before its run starts: one line per reader (`MediaReader` in work-order.ts), in
// the order they are asked. Pinch itself has none; skills add them.
