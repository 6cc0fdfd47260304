"""What both sides of Egret share: the wire, the qualities, the rules. Pure and stdlib only."""
