"""What callers say in the sets of bench/interruptions.py, in two halves that share no text.

Every list is the work of one hand, from what is said on telephones to an assistant; `{}` in a pattern takes each filler.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Texts:
    """One half. opened: an acknowledgement first, and then what takes the floor. ordinary: turns of two parts that a pause
    may separate."""

    short: tuple[str, ...]
    questions: tuple[str, ...]
    corrections: tuple[str, ...]
    opened: tuple[str, ...]
    long: tuple[str, ...]
    backchannels: tuple[str, ...]
    hesitations: tuple[str, ...]
    asides: tuple[str, ...]
    ordinary: tuple[tuple[str, str], ...]


def _fill(patterns: str, fillers: str) -> tuple[str, ...]:
    """Each pattern with each filler; both given as lines separated by bars."""
    return tuple(p.strip().format(f.strip()) for p in patterns.split("|") for f in fillers.split("|"))


def _list(texts: str) -> tuple[str, ...]:
    return tuple(text.strip() for text in texts.split("|"))


TUNING = Texts(
    short=_list(
        "Wait.|Stop.|No.|Hold on.|Excuse me.|Sorry?|Actually.|Hello?|What?|No no no.|Wait, wait.|Stop, stop.|Hang on a second."
        "|Not that one.|Never mind.|That's enough.|One moment.|I have a question.|That's wrong.|Thursday.|Pizza.|Cancel it."
        "|Tomorrow morning.|Stop talking.|No thanks.|Can I say something?|Help.|Operator.|Not interested.|Too expensive."
    ),
    questions=_fill(
        "How much is {}?|When can I get {}?|Do you also have {}?|Who do I ask about {}?|What about {}?",
        "the large one|a new card|the evening appointment|parking|the warranty|a refund|delivery on Sunday|the second room",
    ),
    corrections=_fill(
        "No, I said {}.|I meant {}.|Actually, make that {}.|That's not right, it's {}.",
        "Tuesday the ninth|four people|the blue one|Baker Street|seven thirty|my wife's account|the other branch",
    ),
    opened=_fill(
        "Okay, but {}?|Yeah, I know, {}?|Right, and {}?|Yes, but first, {}?",
        "what does it cost|when do you close|is that really necessary|can my brother come|where do I sign|how long does it take",
    ),
    long=_fill(
        "Let me stop you there, I only wanted to know whether {}.|I'm sorry, I have to interrupt, because {}."
        "|Before you go on, somebody told me yesterday that {}.",
        "my order has left the warehouse|the office is open on Friday|the payment went through|I can bring the dog"
        "|the lift is working again|you take credit cards",
    ),
    backchannels=_list(
        "Yeah.|Okay.|Right.|Uh-huh.|I see.|Sure.|Yes.|Got it.|Alright.|Yeah, yeah.|Okay, okay.|Yes, yes.|Right, right."
        "|Okay, sure.|Yeah, okay.|I understand.|Yeah?|Okay?|Right?|Oh, okay.|Ah, I see.|Yep.|Good.|Great.|Oh.|Cool."
        "|Exactly.|Of course.|Yeah, right.|Oh, I see.|Understood."
    ),
    hesitations=_list("Uh.|Um.|Er.|Uhm."),
    asides=_list(
        "Not now, honey.|Hold on, I'm on the phone.|Put it on the table.|Did you feed the dog?|Turn that down, please."
        "|I'll be there in a minute.|Can you close the door?|No, the other one.|Who is it?|Leave it there.|Where are my keys?"
        "|Thanks, just put it down.|Five more minutes.|Yes, you can have one.|Tell him I'll call back.|What did she want?"
        "|It's in the kitchen.|Stop that, both of you.|Wait for me in the car.|Dinner is at seven.|I don't know, ask your father."
        "|Take your shoes off.|Could you get the bag?|No, not the red one.|I'm talking to the bank.|Be quiet for a second."
        "|The parcel goes to the neighbour.|Have you seen my glasses?|Give it to your sister.|That's fine, thank you."
        "|Two coffees, please.|Let the cat out."
    ),
    ordinary=(
        ("I would like to book a table", "for four people on Friday evening"),
        ("My name is Peter Miller", "and I have a question about my bill"),
        ("I need to change my appointment", "because I am away next week"),
        ("The washing machine that I bought", "does not start any more"),
        ("Could you tell me", "when the next train to Boston leaves"),
        ("I am calling about the flat", "that was in the paper on Saturday"),
        ("I ordered a pair of shoes", "and they sent me the wrong size"),
        ("We have been waiting", "for the electrician since nine o'clock"),
        ("I want to send a parcel", "to my sister in Canada"),
        ("There is a problem", "with the water in the bathroom"),
        ("I would like to know", "how much a cleaning costs"),
        ("Please tell the doctor", "that I need a new prescription"),
        ("I lost my card yesterday", "and I want to have it blocked"),
        ("Is it possible", "to get a room with a view of the sea"),
        ("I have a reservation", "for two nights in October"),
        ("My internet connection", "has been down since this morning"),
    ),
)

HELD_OUT = Texts(
    short=_list(
        "Hey, stop.|Wait a minute.|No, wait.|Pause.|Hold it.|Pardon?|Excuse me, sorry.|Hello, can you hear me?|Why?|Which one?"
        "|No, nope.|Please stop.|Quiet.|Hang on.|Just a second.|Let me think.|That's not me.|Forget it.|Wrong number.|Saturday."
        "|Salmon.|Start over.|Next week.|Can you repeat that?|Not today.|I'm lost.|Agent, please.|I changed my mind."
        "|Slow down.|But why?"
    ),
    questions=_fill(
        "What's the price of {}?|Is there {} as well?|How do I pay for {}?|Where would I find {}?|Could you explain {}?",
        "the small package|a later flight|the monthly plan|the entrance|the deposit|an extra key|shipping|the garden view",
    ),
    corrections=_fill(
        "No, it was {}.|Sorry, I wanted {}.|Wait, that should be {}.|You got that wrong, I need {}.",
        "the eleventh of May|two adults|the green jacket|Maple Avenue|a quarter past eight|my mother's name|the airport shop",
    ),
    opened=_fill(
        "Alright, but {}?|I see, so {}?|Sure, only {}?|Uh-huh, and {}?",
        "who pays for it|can I bring it back|do you need my address|what happens on Monday|is there a discount"
        "|which floor is that",
    ),
    long=_fill(
        "Can I jump in for a moment, I was wondering if {}.|Listen, I don't want to hear all of that, I just need to know if {}."
        "|Excuse me, before we continue I should mention that {}.",
        "the technician comes today|the museum is closed in winter|my password was reset|children travel free"
        "|the road is still blocked|you found my umbrella",
    ),
    backchannels=_list(
        "Yeah.|Okay.|Right.|Uh-huh.|I see.|Ok, got it.|Gotcha.|All right.|Yes, okay.|Yeah, sure.|Sure, sure."
        "|Yeah, I see.|Okay, right.|I hear you.|Uh-huh?|Yes?|Sure?|Ah, okay.|Oh, right.|Yup.|Perfect.|Nice.|Ah.|Wow."
        "|True.|Absolutely.|Okay, good.|Makes sense.|Fine."
    ),
    hesitations=_list("Ah.|Uhh.|Erm.|Umm."),
    asides=_list(
        "In a moment, darling.|Shh, I'm on a call.|Just leave the box outside.|Is the oven on?|Could you turn off the radio?"
        "|I'm coming, go ahead.|Don't forget your jacket.|The blue one over there.|Is somebody at the door?|Hang that up, please."
        "|Where did you put the remote?|Thank you, keep the change.|Later, I promise.|No, you may not.|Say hello to Anna."
        "|What time is the meeting?|Look in the drawer.|Don't climb on that.|Meet me downstairs.|We are out of milk."
        "|You'll have to wait your turn.|Wash your hands first.|Can you hold this for me?|Not on the carpet."
        "|It's the insurance people.|Keep your voice down.|Give that back to him.|Did anybody see my wallet?|Go and ask grandma."
        "|Yes, that's the right size.|A sandwich and a water.|Come here, boy."
    ),
    ordinary=(
        ("I am looking for a present", "for my nephew who turns six"),
        ("Last Monday I returned a coat", "but the money has not arrived"),
        ("We would like to rent a car", "from Friday until Tuesday"),
        ("The heating in my office", "makes a very strange noise"),
        ("Can somebody explain", "why my invoice is so high this month"),
        ("I was told to ring this number", "about the swimming lessons"),
        ("My daughter has a fever", "and I would like to see the doctor today"),
        ("I forgot my password", "and the link you sent does not work"),
        ("Please put my newspaper on hold", "while we are on holiday"),
        ("I would like to move", "my dentist appointment to the afternoon"),
        ("Do you still have tickets", "for the concert on the twelfth"),
        ("The driver left a note", "but there was nobody in the depot"),
    ),
)


def interruption(texts: Texts, chance: Random) -> tuple[str, str]:
    """(kind, text); short ones and those that begin with an acknowledgement are as frequent as questions."""
    kind = chance.choice(("short", "short", "questions", "questions", "corrections", "opened", "long"))
    listed: tuple[str, ...] = getattr(texts, kind)
    return kind, chance.choice(listed)
