"""The words around a finding, as data: change, negation, doubt, side, size and the joints of a sentence.

Patterns as in ``lexicon``: lower case, a space is any white space, boundaries added. Where two patterns meet at one
place the longer match wins, so "no longer seen" is never read as "no" and "unchanged" never as "changed".
"""

from __future__ import annotations

from engine.reports.vocabulary import Change, Side

_ADVERBS = (
    r"slightly|mildly|moderately|markedly|significantly|minimally|substantially|definitely|considerably|"
    r"somewhat|much|further|overall|subtly|interval|"
    r"clearly|slowly|progressively|partially|appreciably|dramatically|perhaps|likely|probably|relatively|"
    r"grossly|essentially|largely|gradually|"
    r"convincingly|visibly|obviously|again|modestly|also|since|now|minimal|(?:in|over) the interval"
)
ADVERB = rf"(?:(?:{_ADVERBS}) )*"
DEGREE = (
    rf"(?:(?:{_ADVERBS}|slight|mild|moderate|marked|significant|substantial|definite|considerable|some|subtle|"
    rf"clear|slow|progressive|partial|"
    r"appreciable|dramatic|small|large|relative|gradual|visible|obvious|modest|a|an|mild to moderate) )*"
)
_HAVE = r"(?:(?:has|have|had) (?:since |now |also |again |in the interval )?)"
_BEEN = (
    r"(?:(?:is|are|was|were|has been|have been|has|have|had|appears?|appeared|appearing|looks?|being) (?:to "
    r"(?:be|have) (?:been )?)?(?:now |since )?)"
)
_OF = (
    r"(?: (?:in|of)(?: (?:the )?(?:size|extent|amount|volume|severity|degree|conspicuity|density|prominence|"
    r"appearance|width)"
)
_OF += r"(?: (?:and|or) (?:size|extent|amount|volume|severity|degree|conspicuity|density))?(?: of)?)?)"
_UP = (
    r"(?:increas(?:e|ed|es|ing)|worsen(?:ed|ing|s)?|progress(?:ion|ed|ing|es)?|enlarge(?:d|ment)?|enlarging|"
    r"grown|growth|growing|larger|bigger|worse)"
)
_DOWN = (
    r"(?:decreas(?:e|ed|es|ing)|improv(?:e|ed|es|ing|ement)|reduc(?:ed|tion)|diminished|resolv(?:ed|ing)|"
    r"cleared|clearing|resolution|smaller|better)"
)

_NO = (
    r"(?:there (?:is|has been|was|are) |with |shows? |showing )?(?:no|without|little|not any)(?: evidence "
    r"of)?(?: (?:any|significant|interval|appreciable|relevant|definite|evident|"
    r"obvious|substantial|gross|new|acute|further|real|convincing|other|overall|major|visible|apparent|"
    r"short-?term|considerable|radiographic|detectable|marked|large|short|term|"
    r"or|if|clear|measurable|discernible))* "
)
_ASPECT = (
    r"(?: (?:the )?(?:size|extent|appearance|position|severity|degree|amount|configuration|volume|distribution)"
    r"(?: (?:or|and) (?:the )?(?:size|extent|appearance|position|severity|degree))?(?: of)?)?"
)

# kinds of a change cue: "of" points forward through "in/of", "verb" back to its subject, "any" goes by its place
CHANGES: tuple[tuple[Change, str, bool, tuple[str, ...]], ...] = (
    # (change, kind, weak, patterns); a weak cue gives way to a strong one on the same finding
    (
        Change.NEW,
        "any",
        False,
        (
            r"(?:newly|new) (?:developed|apparent|seen|visible|identified|noted|appearing|placed|inserted|"
            r"demonstrated|visuali[sz]ed|present)",
            r"(?:" + _BEEN + r")?" + ADVERB + r"new(?:ly)?(?: since| from| compared)?",
            r"not (?:seen|present|visible|noted|evident|identified|apparent) (?:previously|before|earlier|(?:on|"
            r"in) (?:the )?(?:prior|previous|earlier)(?: \w+)?)",
            r"(?:was|were) not (?:seen|present|visible|noted|evident|there) (?:previously|before|earlier|(?:on|"
            r"in) (?:the )?(?:prior|previous|earlier)(?: \w+)?)",
            r"not previously (?:seen|present|visible|noted|evident|identified)",
            r"(?:previously|formerly) (?:absent|not (?:seen|present|visible))",
            r"absent (?:previously|before|(?:on|in) the (?:prior|previous|earlier)(?: \w+)?)",
        ),
    ),
    (
        Change.NEW,
        "verb",
        False,
        (
            _HAVE + ADVERB + r"(?:developed|appeared|arisen|occurred|recurred|been (?:placed|inserted|introduced))",
            r"(?:was|were) (?:recently |newly )?(?:placed|inserted) (?:in the interval|since)",
            r"(?:is|are) now (?:present|seen|visible|evident|noted|apparent)(?! again)",
            r"developed (?:in the interval|since)",
        ),
    ),
    (
        Change.NEW,
        "of",
        False,
        (
            DEGREE + r"(?:development|appearance|placement|insertion|introduction|recurrence) of",
            r"there (?:has|have) developed",
            _HAVE + r"developed",
            r"interval (?:placement|insertion|development)(?: of)?",
            r"there is now",
            r"there are now",
            r"has undergone (?:placement|insertion) of",
            r"recurrent",
        ),
    ),
    (
        Change.WORSE,
        "of",
        False,
        (
            DEGREE + r"(?:increase|worsening|progression|enlargement|growth|expansion|accumulation|re-?accumulation|"
            r"exacerbation|prominence)s?" + _OF,
            r"(?:increased|larger|greater) (?:size|extent|amount|volume|conspicuity|severity|degree) of",
            r"(?:has|have) (?:worsening|increasing)" + _OF + "?",
        ),
    ),
    (
        Change.WORSE,
        "any",
        False,
        (
            r"(?:" + _BEEN + r")?" + ADVERB + _UP + _OF + r"?(?: (?:than|as compared))?",
            r"(?:" + _HAVE + r")" + ADVERB + _UP + _OF + r"?",
            r"(?:has |have )?(?:re-?)?accumulat(?:ed|ing)",
            r"(?:"
            + _BEEN
            + r")?"
            + ADVERB
            + r"more (?:extensive|prominent|conspicuous|confluent|severe|pronounced|dense|marked|evident|"
            r"widespread|apparent|diffuse|extended)(?: than)?",
            r"denser(?: than)?",
            r"progressive(?:ly)?",
            r"greater than (?:before|previously|(?:on )?(?:the )?(?:prior|previous))",
            r"aggravated",
            r"deteriorat(?:ed|ion|ing)",
            r"has (?:increased|expanded|spread|extended)",
        ),
    ),
    (
        Change.IMPROVED,
        "of",
        False,
        (
            DEGREE + r"(?:decrease|reduction|improvement|regression|diminution|shrinkage|lessening|recession)s?" + _OF,
            r"(?:partial|incomplete|near[- ]complete|near[- ]total|near|almost complete|nearly complete|"
            r"interval partial|partial interval) (?:interval )?"
            r"(?:resolution|clearing|clearance)(?: of)?",
            r"(?:decreased|reduced|diminished|smaller) (?:size|extent|amount|volume|conspicuity|severity|degree) of",
            r"(?:substantial|marked|significant|some|slight|moderate|mild|considerable) (?:interval )?clearing of",
            r"improved aeration(?: (?:of|in|at))?",
            r"improving aeration(?: (?:of|in|at))?",
        ),
    ),
    (
        Change.IMPROVED,
        "any",
        False,
        (
            r"(?:"
            + _BEEN
            + r")?"
            + ADVERB
            + r"(?:decreas(?:ed|es|ing)|improv(?:ed|es|ing)|reduced|diminish(?:ed|ing)|smaller|lessened|"
            r"lessening|regress(?:ed|ing)|receding|receded|"
            r"resolving|shrunk|shrinking|better|subsiding|waning|clearing(?! (?:of|in)))" + _OF + r"?(?: than)?",
            r"(?:"
            + _HAVE
            + r")"
            + ADVERB
            + r"(?:decreased|improved|diminished|lessened|regressed|receded|shrunk|subsided)"
            + _OF
            + "?",
            r"(?:"
            + _BEEN
            + r")?(?:mostly|partially|partly|nearly|almost|incompletely|largely|near|almost completely|nearly "
            r"completely|not (?:yet )?(?:fully|completely|entirely))"
            r"(?: completely)? (?:resolved|cleared|resorbed|drained|re-?expanded)",
            r"(?:"
            + _BEEN
            + r")?"
            + ADVERB
            + r"less (?:extensive|prominent|conspicuous|confluent|severe|pronounced|dense|marked|evident|"
            r"widespread|apparent|visible|than (?:before|previously|on the (?:prior|previous)))(?: than)?",
            r"partially (?:aerated|re-?aerated|re-?expanded)",
        ),
    ),
    (
        Change.RESOLVED,
        "any",
        False,
        (
            r"(?:"
            + _BEEN
            + r")?(?:"
            + _HAVE
            + r")?(?:now |completely |fully |entirely |since |in the interval |interval |also )*"
            r"(?:resolved|cleared|disappeared|vanished|gone|(?:been )?(?:removed|withdrawn|discontinued|"
            r"extracted|explanted)|resorbed)(?: completely| entirely| fully)?",
            r"(?:"
            + _BEEN
            + r")?no longer (?:\w+ly )?(?:seen|visible|present|evident|identified|apparent|visuali[sz]ed|noted|"
            r"demonstrated|appreciated|detected|detectable|discernible|"
            r"in place|there|shown|recogni[sz]ed|enlarged)",
            r"no longer",
            r"(?:has|have) normali[sz]ed",
            r"normali[sz]ation of",
            r"no residual",
            r"(?:is|are) now (?:absent|normal|clear)",
            r"(?:has|have) been extubated",
            r"extubat(?:ed|ion)",
        ),
    ),
    (
        Change.RESOLVED,
        "of",
        False,
        (
            r"(?:complete |full |interval |the |now )*(?:resolution|clearance|disappearance|removal|withdrawal|"
            r"extraction|resorption)(?: of)?",
            r"(?:complete |interval |full )*clearing of",
            r"there is no longer(?: (?:a|an|any))?",
            r"there are no longer(?: any)?",
        ),
    ),
    (
        Change.UNCHANGED,
        "of",
        False,
        (
            _NO + r"changes?(?: (?:in|of|regarding|with respect to|with regard to)" + _ASPECT + r")?",
            _NO + r"(?:increase|decrease|worsening|improvement|progression|enlargement|growth|resolution|reduction|"
            r"difference)s?(?: (?:in|of)" + _ASPECT + r")",
            _NO + r"(?:increase|decrease|improvement|progression|growth|resolution)",
            r"(?:stable|unchanged|similar|constant) (?:position|positioning|appearance|size|extent|"
            r"configuration|severity|degree|distribution|location|course)(?: and (?:position|appearance|size|"
            r"extent))? of",
            r"redemonstration of(?: the| a)?",
            r"re-demonstration of",
        ),
    ),
    (
        Change.UNCHANGED,
        "any",
        False,
        (
            r"(?:"
            + _BEEN
            + r")?(?:"
            + _HAVE
            + r")?"
            + ADVERB
            + r"(?:unchanged|stable|unaltered|constant|static|stationary|un-?changing|the same|similar(?: in "
            r"(?:size|extent|appearance|degree|severity|position))?(?: (?:to|as))?|"
            r"not (?:\w+ly )?(?:changed|altered|different)|as before|identical)"
            r"(?: in (?:size|extent|appearance|position|severity|degree|configuration|amount|distribution|"
            r"location)(?: and (?:size|extent|appearance|position|severity))?)?",
            r"(?:" + _HAVE + r"|do(?:es)? |did )?not(?: \w+ly| yet| been| really| appreciably)* "
            r"(?:changed?|increased?|decreased?|worsened?|progressed|improved?|resolved?|cleared?|grown|altered|"
            r"moved)(?: in (?:size|extent))?",
            _HAVE + r"not(?: \w+ly)? enlarged",
            r"(?:"
            + _BEEN
            + r")?neither (?:increased|improved|better|larger|worse) nor (?:decreased|worsened|worse|smaller|"
            r"better|improved)",
            r"no (?:larger|smaller|bigger|better|worse)(?: than)?",
            r"not (?:\w+ly )?(?:larger|smaller|bigger|better|worse)(?: than)?",
            r"stably",
            r"stability of",
        ),
    ),
    (
        Change.UNCHANGED,
        "verb",
        True,
        (
            r"(?:remain(?:s|ed|ing)?|persist(?:s|ed|ing)?|continu(?:es|ed)|still (?:seen|present|visible|noted|"
            r"evident))(?: to (?:be|show|have))?",
            r"(?:is|are) still(?: (?:seen|present|visible|noted|evident|there))?",
            r"(?:"
            + _BEEN
            + r")?(?:again|once again|once more|also again)(?: (?:seen|noted|demonstrated|identified|present|"
            r"visible|visuali[sz]ed|evident|shown|observed))?",
            r"(?:" + _BEEN + r")?redemonstrated",
            r"re-demonstrated",
        ),
    ),
    (
        Change.UNCHANGED,
        "any",
        True,
        (
            r"again (?:seen|noted|demonstrated|identified|visuali[sz]ed|shown|observed)(?: (?:is|are))?(?: (?:a|"
            r"an|the))?",
            r"(?:redemonstrated|re-demonstrated) (?:is|are)",
            r"persistent(?:ly)?",
            r"persistence of",
            r"persisting",
            r"continued",
            r"ongoing",
            r"residual",
            r"remaining",
            r"known",
            r"there (?:is|are) still",
            r"there (?:remains?|persists?)",
        ),
    ),
)

NEGATION_BEFORE: tuple[str, ...] = (
    r"no(?: (?:definite|definitive|convincing|significant|obvious|evident|appreciable|discernible|discrete|"
    r"frank|overt|clear|visible|visuali[sz]ed|sizable|sizeable|"
    r"substantial|other|further|additional|new|large|gross|radiographic|detectable|demonstrable|evidence|"
    r"evidence of|evidence for|evidence to suggest|sign of|signs of|"
    r"suggestion of|indication of|findings of|findings to suggest|recurrent|or worsening|and no|increasing|"
    r"worsening|enlarging))*",
    r"without(?: (?:any |definite |definitive |new |significant |convincing |overt |frank |radiographic |"
    r"evidence of |evidence for |signs of |associated |evident |visible |appreciable ))*",
    r"(?:there is |there are )?(?:not|never)(?: (?:any|a|an))?",
    r"(?:negative|free|clear) (?:for|of)(?: any)?",
    r"(?:is|are) (?:free|clear) of",
    r"(?:fails?|failed) to (?:show|demonstrate|reveal)",
    r"(?:does|do|did) not (?:show|demonstrate|reveal|suggest|support|indicate)",
    r"(?:absence|lack) of",
    r"(?:rules?|ruled|ruling) out",
    r"(?:excludes?|excluded|excluding)",
    r"neither",
    r"nor",
    r"rather than",
    r"(?:devoid|bereft) of",
    r"nil",
    r"denies",
    r"resolution of any",
)
NEGATION_AFTER: tuple[str, ...] = (
    r"(?:(?:is|are|was|were|has been|have been|can be) )?(?:not (?:clearly |definitely |convincingly |currently "
    r"|otherwise |well |now )?|neither )"
    r"(?:seen|identified|present|visible|visuali[sz]ed|evident|noted|demonstrated|detected|appreciated|apparent|"
    r"found|suspected|confirmed|observed|shown)",
    r"(?:is|are|was|were) absent",
    r"absent",
    r"(?:(?:is|are|has been|have been|was|were) )?(?:effectively )?(?:ruled out|excluded)",
    r"cannot be (?:seen|identified|detected|demonstrated)",
    r"none",
)

DOUBT_BEFORE: tuple[str, ...] = (
    r"(?:possible|possibly|probable|probably|likely|suspected|questionable|presumed|presumably|potential|"
    r"potentially|equivocal|perhaps|conceivable|suspicious)",
    r"most likely",
    r"(?:may(?! \d)|might|could|can)(?: (?:also|well|all|simply|instead))?(?: (?:represent|reflect|be|indicate|"
    r"suggest|relate to|be related to|be due to|be secondary to|reflecting|have|"
    r"correspond to|include|contain|be seen with|be seen in|be compatible with))?(?: (?:a|an|in part|the result of))?",
    r"(?:suspicion|concern|question|possibility) (?:for|of)",
    r"(?:concerning|worrisome|suspicious) for",
    r"suggest(?:s|ive of|ing|ed)?",
    r"(?:cannot|can not|could not|can't|unable to|difficult to|impossible to|does not|not) (?:be )?(?:entirely |"
    r"completely |definitely |fully |reliably )?(?:exclude|rule out)",
    r"(?:raises?|raising) (?:the )?(?:possibility|concern|question|suspicion) (?:of|for)",
    r"(?:compatible|consistent|in keeping) with (?:possible|probable)",
    r"(?:differential|differential diagnosis|ddx|considerations?)(?: (?:diagnosis|considerations?))? "
    r"(?:includes?|is|are|include)",
    r"versus",
    r"vs\.?",
    r"and/or",
    r"query",
    r"[?]",
    r"if (?:there is )?(?:clinical )?(?:concern|suspicion)(?: (?:for|of))?",
    r"evaluate for",
    r"assess for",
    r"correlate for",
    r"(?:r/o)",
)
DOUBT_AFTER: tuple[str, ...] = (
    r"(?:is|are|was|were|remains?) (?:also |quite |very |thought |felt )?(?:possible|probable|likely|unlikely|"
    r"suspected|questionable|questioned|equivocal|indeterminate|difficult to exclude|hard to exclude|favou?red|"
    r"considered|less likely|more likely)",
    r"(?:unlikely|difficult to exclude|hard to exclude|less likely|is favou?red|suspected)(?= ?(?:[.,;]|$))",
    r"(?:cannot|can not|could not|can't) (?:be )?(?:entirely |completely |definitely |fully |reliably |"
    r"confidently )?(?:excluded|ruled out)",
    r"(?:is|are) (?:difficult|hard|impossible) to (?:exclude|rule out)",
    r"(?:is|are) not (?:entirely |completely |definitely |fully |reliably )?(?:excluded|ruled out)",
    r"not (?:entirely |completely |fully )?excluded",
    r"(?:may|might|could) be (?:present|considered|seen)",
    r"versus",
    r"vs\.?",
    r"should be considered",
    r"would be difficult to exclude",
)

SIDES: tuple[tuple[Side, tuple[str, ...]], ...] = (
    (
        Side.BILATERAL,
        (
            r"(?:bilateral(?:ly)?|bi-?basilar|bi-?basal|bi-?apical|bi-?lateral|both (?:lungs?|sides|bases|"
            r"hemithoraces|apices|lung bases|lower lobes|lower lungs)|"
            r"both(?= (?:costophrenic|pleural|effusions|pneumothoraces|upper|lower))|"
            r"left and right|right and left|left or right|right or left|right- and left-sided|left- and "
            r"right-sided|right-? and left-sided|"
            r"bi-?hilar|either side|either lung|the lung bases|lung bases|the bases|(?:right|left) greater than "
            r"(?:right|left)|"
            r"(?:both )?upper lobes|(?:both )?lower lobes|on both sides)",
        ),
    ),
    (Side.LEFT, (r"left(?:-| )?(?:sided)?", r"lingula(?:r)?", r"l(?:ul|ll)")),
    (Side.RIGHT, (r"right(?:-| )?(?:sided)?", r"r(?:ul|ml|ll)")),
)

SIZES: tuple[str, ...] = (
    r"(?:(?:very|extremely|only) )?(?:tiny|trace|minimal(?:ly)?|minute|minor|subtle|faint|slight|small|"
    r"mild(?:ly)?|moderate(?:ly)?|medium|large|sizable|sizeable|severe(?:ly)?|massive|extensive|"
    r"marked(?:ly)?|substantial|huge|gross(?:ly)?|moderate[- ]sized|small[- ]sized|large[- ]sized|"
    r"sub-?centimet(?:er|re))"
    r"(?:(?: |-)(?:to|or)(?: |-)(?:moderate(?:ly)?|large|severe(?:ly)?|small|mild(?:ly)?))?(?: (?:to )?(?:large|"
    r"small|severe))?(?:[- ]sized| in size| amount of| degree of)?",
    r"\d+(?:\.\d+)?(?: ?x ?\d+(?:\.\d+)?)? ?-?(?:mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?)",
)

# "right greater than left" compares sides, not times
SIDE_COMPARISON: tuple[str, ...] = (
    r"(?:(?:right|left)(?:-sided)? )?(?:greater|larger|more|worse|bigger|less|smaller|lesser|more (?:prominent|"
    r"extensive|severe)|slightly (?:larger|worse|greater)) "
    r"(?:than (?:on )?(?:the )?(?:right|left)|on the (?:right|left) (?:than|compared)(?: (?:to|with))?(?: (?:on "
    r")?(?:the )?(?:right|left))?)",
    r"(?:right|left) ?(?:>|<) ?(?:right|left)",
)

REFERENCES: tuple[str, ...] = (
    r"(?:as |when )?(?:compared|comparison|in comparison)(?: is made)? (?:to|with)(?: the)?(?: (?:most recent|"
    r"immediate|immediately|last|available))*(?: (?:prior|previous|preceding|earlier|study|exam|examination|"
    r"radiographs?|chest|film|x-?ray|portable|ap|pa|ct|images?|studies|exams|films|one|day|\S*\d\S*))*(?: (?:of|"
    r"from|dated|performed|obtained)(?: on)?(?: (?:the|earlier|same|day|yesterday|today|\S*\d\S*))*)?",
    r"(?:since|from|relative to|than|to|as|with|on|in|at)(?: (?:the|a|most recent|last|that|those|was|seen|it|"
    r"time|of))*(?: (?:prior|previous|preceding|earlier|last|comparison))"
    r"(?: (?:study|studies|exam|exams|examination|examinations|radiographs?|chest|film|films|x-?ray|portable|ap|"
    r"pa|frontal|ct|images?|imaging|one|visit|day|evaluation|time|\S*\d\S*))*"
    r"(?: (?:of|from|dated|performed|obtained)(?: on)?(?: (?:the|earlier|same|day|yesterday|today|\S*\d\S*))*)?",
    r"(?:since|than|as) (?:previously|before|yesterday|earlier|last (?:week|month|year)|prior)(?: (?:noted|seen|"
    r"described|demonstrated))?",
    r"compared (?:to|with) (?:before|previously|yesterday|earlier)",
    r"since \S*\d\S*",
    r"(?:previously|formerly|earlier) (?:seen|noted|described|present|visuali[sz]ed|demonstrated|identified|"
    r"reported|visible|small|large|moderate|mild)",
    r"(?:in|over|during) the interval",
    r"from (?:before|yesterday|earlier)",
    r"previously",
    r"interval",
    r"(?:over|in|for) (?:the )?(?:past|last|preceding) (?:\w+ )?(?:days?|weeks?|months?|years?|hours?)",
)

BREAKS: tuple[str, ...] = (
    r"but",
    r"however",
    r"although",
    r"though",
    r"while",
    r"whereas",
    r"whilst",
    r"yet",
    r"(?:other than|apart from|aside from|except for|with the exception of|besides|except)",
    r"otherwise",
    r"nevertheless",
    r"in contrast",
    r"meanwhile",
    r"though",
)
JOINTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("and", (r"and", r"as well as", r"plus", r"and also", r"together with", r"along with", r"and/or")),
    ("or", (r"or",)),
    (
        "with",
        (
            r"with(?: (?:an? )?(?:associated|adjacent|accompanying|underlying|overlying|adjacent))?",
            r"associated with",
            r"accompanied by",
            r"in addition to",
            r"in the setting of",
            r"following",
            r"after",
            r"status post",
            r"s/p",
        ),
    ),
)
PREPOSITIONS: tuple[str, ...] = (
    r"(?:on|in|at|of|over|within|overlying|involving|to|from|along|near|throughout|projecting over|for|into|"
    r"through|above|below|via|adjacent to|bordering|about|towards?)",
)
VERBS: tuple[str, ...] = (
    r"(?:(?:is|are|was|were|has|have|had|been|be|appears?|shows?|demonstrates?|reveals?|contains?|terminates?|"
    r"ends?|lies|projects?|measures?|measuring|blunts|obscures|being))",
)
SEEN: tuple[str, ...] = (
    r"(?:(?:is|are|was|were|has been|have been|can be) )?(?:seen|identified|present|visible|visuali[sz]ed|"
    r"evident|noted|demonstrated|detected|appreciated|apparent|found|observed|shown|in place)",
)
"""After a negated list ("no effusion or pneumothorax is seen") these verbs do not open a statement of their own."""

DETERMINERS: tuple[str, ...] = (r"(?:the|a|an|this|that|these|those|there|its|their)",)
PRONOUNS: tuple[str, ...] = (
    r"(?:this|it|they|these|these findings|this finding|the findings?|the former|both findings|its appearance|"
    r"the appearance|the abnormality|which|that)",
)
"""Openers by which a sentence without a finding of its own speaks of the one before."""

NOT_ABOUT_IMAGES: tuple[str, ...] = (
    # what a change word says nothing of the picture with: words looked for right after it
    r"(?:\w+ )?(?:vital signs?|vitals|condition|patient|clinically|hemodynamically|mental status|dyspn(?:o)?ea|"
    r"shortness of breath|sob|cough|fevers?|chest pain|pain|oxygen|o2|hypoxi[ae]|hypoxemia|"
    r"leu[ck]ocytosis|wbc|white count|symptoms?|sputum|confusion|weakness|altered|requirements?|work of "
    r"breathing|respiratory distress|creatinine|bnp|temperature|diagnosis|onset|"
    r"angina|fatigue|oxygen requirement|swelling|weight|anemia|hypotension|rales|crackles|wheez(?:e|ing)|murmur)",
)
PATIENT_BEFORE: tuple[str, ...] = (
    # "stable" after these is the patient's condition
    r"(?:clinically|hemodynamically|haemodynamically|medically|neurologically)",
    r"(?:patient|patient's condition|vital signs?|vitals|condition)(?: (?:is|was|remains|are|appears))?",
)
DENSITY_NOUNS: tuple[str, ...] = (
    # "increased" before these speaks of density, inspiration and shape, not of time
    r"(?:\w+ )?(?:lung volumes?|inspiration|inspiratory effort|lucency|attenuation|density|densities|"
    r"interstitial markings|markings|retrosternal|ap diameter|bone density|"
    r"penetration|translucency|transparency|contrast|exposure|opacit(?:y|ies)|opacification|kyphosis|"
    r"radiodensity|radiolucency|bronchovascular markings|vascular markings|"
    r"sensitivity|specificity|detail)",
)

NO_REFERENCES: tuple[str, ...] = (
    # says that nothing was compared, or that "prior" is not an image
    r"(?:there (?:is|are) )?no (?:prior|previous|relevant prior|comparison|earlier|old)(?: (?:study|studies|"
    r"exams?|examinations?|radiographs?|images?|imaging|films?|chest|x-?rays?|comparison|comparisons|priors))*"
    r"(?: (?:is|are|was|were))?(?: (?:currently |immediately )?available)?(?: for (?:direct )?comparison)?",
    r"no (?:priors?|comparisons?)(?: (?:is|are))?(?: available)?(?: for comparison)?",
    r"comparison(?: study| studies)?(?::| is| are)? ?(?:none|unavailable|not available|n/a|no prior)(?: available)?",
    r"(?:in the |the )?absence of (?:a |any )?(?:prior|previous|comparison)(?: (?:study|studies|exams?|"
    r"radiographs?|images?|imaging|films?))*(?: for comparison)?",
    r"without (?:a |any )?(?:prior|previous|comparison)(?: (?:study|studies|exams?|radiographs?|images?|imaging|"
    r"films?))*(?: for comparison)?",
    r"(?:prior|previous|old|remote) (?:\w+ )?(?:surgery|surgeries|cholecystectomy|\w*ectomy|\w*otomy|\w*plasty|"
    r"fractures?|trauma|injury|infection|granulomatous|cabg|bypass|intervention|"
    r"procedure|resection|\w*ostomy|operation|history|smoker|smoking|stroke|mi|infarct|radiation|tuberculosis|"
    r"tb|myocardial|hospitali[sz]ation|admission|episode|vaccination|pneumonia)",
)
