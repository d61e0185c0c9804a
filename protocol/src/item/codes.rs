//! The code lists of items, with what their codes are called and what follows from them (law §6.3 to §6.5, §11).

use crate::authority::StateCode;
use crate::handling::code_list;

code_list!(
    /// What sort of item a firearm is under the Protocol (law §6.3); derived from its type.
    ItemKind {
        Firearm = "FIREARM",
        LightWeapon = "LIGHT_WEAPON",
        /// Kept for information.
        NonProtocol = "NON_PROTOCOL",
    }
);

code_list!(
    /// Types of firearms and light weapons (law §11.1).
    FirearmType {
        AirGun = "N-AIR",
        AlarmWeapon = "N-ALS",
        /// Portable anti-aircraft missile (MANPADS).
        AntiAircraftMissile = "L-AAM",
        AntiTankGun = "L-ATG",
        /// Portable anti-tank missile or rocket.
        AntiTankMissile = "L-ATM",
        AssaultRifle = "F-ASR",
        Carbine = "F-CAR",
        /// Rifle and shotgun in one.
        CombinationGun = "F-COM",
        GrenadeLauncher = "L-GRL",
        HeavyMachineGun = "L-HMG",
        LightMachineGun = "F-LMG",
        Mortar = "L-MOR",
        /// Pen guns and other disguised ones too.
        Other = "F-OTH",
        /// Single-shot, derringer and other handguns.
        OtherHandgun = "F-PI1",
        Pistol = "F-PIS",
        RecoillessGun = "L-RCL",
        /// Replica or antique.
        Replica = "N-REP",
        Revolver = "F-REV",
        /// Repeated by hand.
        Rifle = "F-RIF",
        SelfLoadingRifle = "F-RIS",
        Shotgun = "F-SHG",
        SubMachineGun = "F-SMG",
        Unknown = "F-UNK",
    }
);

impl FirearmType {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::AirGun => "air gun",
            Self::AlarmWeapon => "alarm weapon",
            Self::AntiAircraftMissile => "anti-aircraft missile",
            Self::AntiTankGun => "anti-tank gun",
            Self::AntiTankMissile => "anti-tank missile",
            Self::AssaultRifle => "assault rifle",
            Self::Carbine => "carbine",
            Self::CombinationGun => "combination gun",
            Self::GrenadeLauncher => "grenade launcher",
            Self::HeavyMachineGun => "heavy machine gun",
            Self::LightMachineGun => "light machine gun",
            Self::Mortar => "mortar",
            Self::Other => "other firearm",
            Self::OtherHandgun => "handgun",
            Self::Pistol => "pistol",
            Self::RecoillessGun => "recoilless gun",
            Self::Replica => "replica",
            Self::Revolver => "revolver",
            Self::Rifle => "rifle",
            Self::SelfLoadingRifle => "semi-automatic rifle",
            Self::Shotgun => "shotgun",
            Self::SubMachineGun => "sub-machine gun",
            Self::Unknown => "firearm of unknown type",
        }
    }

    /// What sort of item it is: the letter before the dash.
    pub fn item_kind(self) -> ItemKind {
        match self.as_str().as_bytes().first() {
            Some(b'L') => ItemKind::LightWeapon,
            Some(b'N') => ItemKind::NonProtocol,
            _ => ItemKind::Firearm,
        }
    }
}

code_list!(
    /// How a firearm is loaded and fired (law §6.3).
    Action {
        Bolt = "BOLT",
        Break = "BREAK",
        FullAuto = "FULL_AUTO",
        Lever = "LEVER",
        Other = "OTHER",
        Pump = "PUMP",
        RevolverDa = "REVOLVER_DA",
        RevolverSa = "REVOLVER_SA",
        SelectFire = "SELECT_FIRE",
        SemiAuto = "SEMI_AUTO",
        SingleShot = "SINGLE_SHOT",
        Unknown = "UNKNOWN",
    }
);

code_list!(
    /// Parts (law §11.2): those of Art. 3(b), and others that are not parts under the Protocol.
    PartKind {
        Barrel = "BARREL",
        Bolt = "BOLT",
        BreechBlock = "BREECH_BLOCK",
        /// Auto-sear, "switch".
        ConversionDevice = "CONVERSION_DEVICE",
        Cylinder = "CYLINDER",
        Frame = "FRAME",
        Kit = "KIT",
        Magazine = "MAGAZINE",
        OtherEssential = "OTHER_ESSENTIAL",
        Receiver = "RECEIVER",
        ReceiverLower = "RECEIVER_LOWER",
        ReceiverUpper = "RECEIVER_UPPER",
        Sight = "SIGHT",
        Slide = "SLIDE",
        SoundSuppressor = "SOUND_SUPPRESSOR",
        Stock = "STOCK",
        TriggerGroup = "TRIGGER_GROUP",
    }
);

impl PartKind {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Barrel => "barrel",
            Self::Bolt => "bolt",
            Self::BreechBlock => "breech block",
            Self::ConversionDevice => "conversion device",
            Self::Cylinder => "cylinder",
            Self::Frame => "frame",
            Self::Kit => "kit",
            Self::Magazine => "magazine",
            Self::OtherEssential => "essential part",
            Self::Receiver => "receiver",
            Self::ReceiverLower => "lower receiver",
            Self::ReceiverUpper => "upper receiver",
            Self::Sight => "sight",
            Self::Slide => "slide",
            Self::SoundSuppressor => "sound suppressor",
            Self::Stock => "stock",
            Self::TriggerGroup => "trigger group",
        }
    }
}

code_list!(
    /// What a part is made of (law §6.4).
    Material {
        Metal = "METAL",
        Polymer = "POLYMER",
        Printed = "PRINTED",
    }
);

code_list!(
    /// Complete rounds or their components (Art. 3(c); law §11.3).
    AmmunitionComponent {
        Case = "CASE",
        CompleteRound = "COMPLETE_ROUND",
        Primer = "PRIMER",
        Projectile = "PROJECTILE",
        Propellant = "PROPELLANT",
    }
);

impl AmmunitionComponent {
    /// What several of them are called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Case => "cases",
            Self::CompleteRound => "rounds",
            Self::Primer => "primers",
            Self::Projectile => "projectiles",
            Self::Propellant => "propellant",
        }
    }
}

code_list!(
    /// Types of rounds (law §11.3).
    AmmunitionType {
        ArmourPiercing = "ARMOUR_PIERCING",
        Ball = "BALL",
        Blank = "BLANK",
        Drill = "DRILL",
        /// Soft-point or expanding.
        Expanding = "EXPANDING",
        Frangible = "FRANGIBLE",
        Incendiary = "INCENDIARY",
        LessLethal = "LESS_LETHAL",
        Shot = "SHOT",
        Slug = "SLUG",
        Subsonic = "SUBSONIC",
        Tracer = "TRACER",
    }
);

impl AmmunitionType {
    /// What it is called before the word "rounds".
    pub fn name(self) -> &'static str {
        match self {
            Self::ArmourPiercing => "armour-piercing",
            Self::Ball => "ball",
            Self::Blank => "blank",
            Self::Drill => "drill",
            Self::Expanding => "expanding",
            Self::Frangible => "frangible",
            Self::Incendiary => "incendiary",
            Self::LessLethal => "less-lethal",
            Self::Shot => "shot",
            Self::Slug => "slug",
            Self::Subsonic => "subsonic",
            Self::Tracer => "tracer",
        }
    }
}

code_list!(
    /// What a cartridge case is made of (law §6.5).
    CaseMaterial {
        Aluminium = "ALUMINIUM",
        Brass = "BRASS",
        Other = "OTHER",
        Paper = "PAPER",
        Polymer = "POLYMER",
        Steel = "STEEL",
    }
);

code_list!(
    /// How a firearm came to be (law §11.5). A "ghost gun" is no type: it is one of these with
    /// `NEVER_MARKED` marks.
    Provenance {
        AntiqueModified = "ANTIQUE_MODIFIED",
        ArtisanalLicensed = "ARTISANAL_LICENSED",
        AssembledFromParts = "ASSEMBLED_FROM_PARTS",
        CncPrivate = "CNC_PRIVATE",
        Converted = "CONVERTED",
        CraftIllicit = "CRAFT_ILLICIT",
        Factory = "FACTORY",
        FactoryUnmarked = "FACTORY_UNMARKED",
        /// From an "80 %" kit.
        KitBuilt = "KIT_BUILT",
        LicensedProduction = "LICENSED_PRODUCTION",
        Printed = "3D_PRINTED",
        /// From a deactivated one; the standard stands in [`Condition::deactivation_standard`](super::Condition::deactivation_standard).
        Reactivated = "REACTIVATED",
        Unknown = "UNKNOWN",
    }
);

code_list!(
    /// What was converted, or how much was printed (law §11.5).
    ProvenanceDetail {
        FromAir = "FROM_AIR",
        FromAlarm = "FROM_ALARM",
        FromBlank = "FROM_BLANK",
        FromFlobert = "FROM_FLOBERT",
        FromOther = "FROM_OTHER",
        PrintedFull = "PRINTED_FULL",
        PrintedHybrid = "PRINTED_HYBRID",
        PrintedReceiverOnly = "PRINTED_RECEIVER_ONLY",
        SemiToFullAuto = "SEMI_TO_FULL_AUTO",
    }
);

impl ProvenanceDetail {
    /// Whether it says more of this provenance.
    pub fn belongs_to(self, provenance: Provenance) -> bool {
        let printed = matches!(self, Self::PrintedFull | Self::PrintedHybrid | Self::PrintedReceiverOnly);
        provenance == if printed { Provenance::Printed } else { Provenance::Converted }
    }
}

code_list!(
    /// How sure the describer of a make is.
    Confidence {
        Certain = "CERTAIN",
        Possible = "POSSIBLE",
        Probable = "PROBABLE",
    }
);

code_list!(
    /// Where a year of manufacture comes from (law §6.3).
    YearSource {
        DateCode = "DATE_CODE",
        Marked = "MARKED",
        Proof = "PROOF",
        Record = "RECORD",
    }
);

code_list!(
    /// States that are no more and whose arms are about (law §11.6), by their codes of ISO 3166-3. Which authority
    /// answers for which of their factories is for a routing table to say.
    HistoricState {
        Czechoslovakia = "CSK",
        GermanDemocraticRepublic = "DDR",
        SovietUnion = "SUN",
        Yugoslavia = "YUG",
    }
);

impl HistoricState {
    /// The State that was, if the code is one's.
    pub fn of(code: &StateCode) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.as_str() == code.as_str())
    }

    /// What it was called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Czechoslovakia => "Czechoslovakia",
            Self::GermanDemocraticRepublic => "German Democratic Republic",
            Self::SovietUnion => "Soviet Union",
            Self::Yugoslavia => "Yugoslavia",
        }
    }
}
